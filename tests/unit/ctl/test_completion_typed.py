"""What was typed when Tab was pressed, and how a word has to be typed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.completion.typed import Typed, quoted, read_line, unquoted

ONE_LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1)
# Inside of double quotes no backslash keeps bash from recalling its history.
QUOTABLE = ONE_LINE.filter(lambda text: "!" not in text)


@pytest.mark.parametrize(
    ("line", "words", "current", "quote"),
    [
        ("p", [], "p", ""),
        ("p ", [], "", ""),
        ("p sel", [], "sel", ""),
        ("p select ", ["select"], "", ""),
        ("p  a   b", ["a"], "b", ""),
        ("A=1 B_2=x p select q", ["select"], "q", ""),
        (r"p a\ b", [], "a b", ""),
        ("p a\\ ", [], "a ", ""),
        ("p a\\", [], "a", ""),
        ("p 'a b", [], "a b", "'"),
        ('p "a b', [], "a b", '"'),
        ("p \"it's", [], "it's", '"'),
        ('p "a" b', ["a"], "b", ""),
        ("p 'a'", [], "a", ""),
        ("p ''", [], "", ""),
        ("p --model=a", [], "--model=a", ""),
        ("p # b", ["#"], "b", ""),
    ],
)
def test_the_line_is_read_as_a_shell_reads_it(
    line: str, words: list[str], current: str, quote: str
) -> None:
    assert read_line(line) == Typed(words, current, quote)


@given(ONE_LINE)
def test_a_quoted_word_is_read_as_what_it_was(text: str) -> None:
    assert read_line(f"p {quoted(text, '')}").current == text
    assert unquoted(quoted(text, ""), "") == text


@given(QUOTABLE, st.sampled_from(["'", '"']))
def test_so_is_one_behind_an_open_quotation_mark(text: str, quote: str) -> None:
    assert read_line(f"p {quote}{quoted(text, quote)}{quote}").current == text
