import time

import pytest

from devsynthd.upstream.cleaning import MAX_CHARS, clean

TABLE = [
    ("plain text stays", "plain text stays"),
    ("  two\r\n lines\tand a tab ", "two lines and a tab"),
    ("\x1b[31mred\x1b[0m and \x1b]0;title\x07bold", "red and bold"),
    ("bell\x07, null\x00, C1\x9b31m colour", "bell , null , C1 colour"),
    ("exe\u202egpj.\u2066x\u200b", "exegpj.x"),
    ("half \ud800 a pair", "half a pair"),
    ("<h1>Bad <b>Gateway</b></h1><br/>", "Bad Gateway"),
    ("(n_keep: 5>= n_ctx: 4), a < b > c", "(n_keep: 5>= n_ctx: 4), a < b > c"),
    ("<|im_start|> is no tag", "<|im_start|> is no tag"),
    ("given sk-lm-abcd1234:aaaabbbbcccc", "given ***"),
    ("Authorization: Bearer abc.def", "Authorization: ***"),
    ("the hunter2 of it", "the *** of it"),
    ("in base64 YWh1bnRlcjI=, aHVudGVyMg==", "in base64 YW***I=, ***g=="),
    ("no http://me:p/w@host/v1", "no http://***@host/v1"),
]


@pytest.mark.parametrize(("dirty", "expected"), TABLE)
def test_text_becomes_one_harmless_line(dirty: str, expected: str) -> None:
    assert clean(dirty, ["hunter2", ""]) == expected


def test_long_text_is_cut() -> None:
    text = clean("x" * 10_000_000)

    assert len(text) == MAX_CHARS
    assert text.endswith("x…")


def test_a_secret_across_the_cut_is_not_half_shown() -> None:
    assert "hunt" not in clean("x" * (MAX_CHARS - 5) + "hunter2", ["hunter2"])


@pytest.mark.parametrize("text", ["://", "a://b:", "http://", "@://", "bearer ", "\x1b]", "<a "])
def test_no_text_takes_long_to_clean(text: str) -> None:
    started = time.process_time()
    for _ in range(10):
        clean(text * 10_000, ["hunter2"])

    assert time.process_time() - started < 1.5
