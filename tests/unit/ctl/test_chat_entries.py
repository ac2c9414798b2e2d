"""What an entry means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.chat.entries import COMMANDS, HELP, Command, Say, read_entry
from devsynthd.wire.errors import BadRequest


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("", None),
        (" \n\t", None),
        ("hi", Say("hi")),
        ("two\nlines", Say("two\nlines")),
        (" /help", Say(" /help")),
        ("what is /help?", Say("what is /help?")),
        ("//etc/passwd", Say("/etc/passwd")),
        ("//", Say("/")),
        ("///", Say("//")),
        ("/help", Command("/help")),
        ("/help ", Command("/help")),
        ("/model", Command("/model")),
        ("/model  a b ", Command("/model", "a b")),
        ("/system You are\na pirate.\n", Command("/system", "You are\na pirate.")),
        ("/system\tshort", Command("/system", "short")),
        ("/system -", Command("/system", "-")),
    ],
)
def test_a_slash_makes_a_command(text: str, entry: Say | Command | None) -> None:
    assert read_entry(text) == entry


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("/hlep", "no command /hlep", "did you mean /help?"),
        ("/retyr now", "no command /retyr", "did you mean /retry?"),
        ("/etc/passwd is mine", "no command /etc/passwd", "// starts a message"),
        ("/ hi", "no command /", "/help lists them"),
        ("/HELP", "no command /HELP", "/help lists them"),
        ("/9j/" + "A" * 50_000, "no command /9j/AAA", "/help lists them"),
        ("/clear all", "/clear takes nothing after it", "enter just /clear"),
    ],
)
def test_what_is_no_command_is_told_with_what_to_do(text: str, message: str, hint: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read_entry(text)
    assert message in str(refused.value)
    assert len(str(refused.value)) < 100
    assert hint in (refused.value.hint or "")


@given(st.text())
def test_every_text_is_something(text: str) -> None:
    try:
        entry = read_entry(text)
    except BadRequest:
        assert text.startswith("/")
    else:
        assert (entry is None) == (not text.strip())


@given(st.text().filter(str.strip))
def test_any_message_can_be_sent(text: str) -> None:
    escaped = f"/{text}" if text.startswith("/") else text
    assert read_entry(escaped) == Say(text)


def test_the_help_has_every_command() -> None:
    assert all(f"{name} " in HELP for name in COMMANDS)
    assert max(map(len, HELP.splitlines())) < 80
