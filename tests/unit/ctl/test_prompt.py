"""What is asked, from wherever it comes."""

import errno
import io
import os
from pathlib import Path

import pytest

from devsynthctl.prompt import (
    raw_prompt,
    read_messages,
    read_schema,
    read_text,
    whole_prompt,
)
from devsynthd.wire.errors import BadRequest


@pytest.mark.parametrize(
    ("words", "piped", "prompt"),
    [
        ((), "", None),
        ((" ",), "\n\t", None),
        (("a", "b"), "", "a b"),
        ((), "text", "text"),
        (("a",), "text", "a\n\ntext"),
        (("a",), "  ", "a"),
    ],
)
def test_arguments_come_before_stdin(
    words: tuple[str, ...], piped: str, prompt: str | None
) -> None:
    assert whole_prompt(words, piped) == prompt


@pytest.mark.parametrize(
    ("words", "piped", "prompt"),
    [
        ((), "", None),
        (("",), "", ""),
        ((" ", "a"), "", "  a"),
        ((), " \n", " \n"),
        (("def f():\n",), "", "def f():\n"),
        (("a",), "b\n", "a\n\nb\n"),
    ],
)
def test_a_raw_prompt_is_left_to_the_letter(
    words: tuple[str, ...], piped: str, prompt: str | None
) -> None:
    assert raw_prompt(words, piped) == prompt


def test_stdin_without_end_is_not_read_for_ever() -> None:
    with (
        Path("/dev/zero").open("rb") as endless,
        pytest.raises(BadRequest, match="stdin has more than"),
    ):
        read_text(endless, "stdin", "do something else")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"[\n{,}]", "line 2, column 2"),
        (b"", "line 1, column 1"),
        (b"\xff", "not UTF-8"),
        (b"{}", "not a list of messages"),
        (b'[{"content": "x"}]', "not a list of messages: Object missing required field `role`"),
        (b'[{"role": "user", "content": 5}]', r"\$\[0\]\.content"),
        (b'["hi"]', r"\$\[0\]"),
        (b"[" * 100_000, "nested too deeply"),
        (b"[" + b"9" * 5000 + b"]", "number with too many digits"),
    ],
    ids=range(9),
)
def test_a_file_that_holds_no_messages_is_refused(
    tmp_path: Path, text: bytes, complaint: str
) -> None:
    file = tmp_path / "chat.json"
    file.write_bytes(text)
    with pytest.raises(BadRequest, match=complaint) as caught:
        read_messages(file)
    assert str(caught.value).startswith(str(file))


class Unreadable(io.BytesIO):
    """What a terminal in the background is."""

    def read(self, _size: int | None = -1) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_what_cannot_be_read_is_told_with_what_to_do() -> None:
    with pytest.raises(BadRequest, match="stdin cannot be read: Input/output error") as caught:
        read_text(Unreadable(), "stdin", "do something else")
    assert caught.value.hint == "do something else"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="No such file"):
        read_messages(tmp_path / "chat.json")
    with pytest.raises(BadRequest, match="Is a directory"):
        read_messages(tmp_path)


def test_a_file_of_messages_without_end_is_not_read_for_ever() -> None:
    with pytest.raises(BadRequest, match="/dev/zero has more than"):
        read_messages(Path("/dev/zero"))


@pytest.mark.parametrize("text", ['{"type": "object"}', '\n {\n"type": "object"}\n'])
def test_a_schema_is_json_or_a_file(tmp_path: Path, text: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(text)
    assert read_schema(text) == read_schema(str(file)) == {"type": "object"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"type":\n oops}', "line 2, column 2"),
        ("{", "line 1, column 2"),
        ('{"a":' * 100_000, "nested too deeply"),
        ('{"maximum": ' + "9" * 5000 + "}", "number with too many digits"),
    ],
    ids=range(4),
)
def test_a_schema_that_is_no_json_is_refused_with_the_place(
    tmp_path: Path, text: str, complaint: str
) -> None:
    file = tmp_path / "schema.json"
    file.write_text(text)
    for given, name in ((text, "--schema"), (str(file), str(file))):
        with pytest.raises(BadRequest, match=complaint) as caught:
            read_schema(given)
        assert str(caught.value).startswith(name)


def test_a_schema_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "schema.json"
    file.write_text("[]")
    with pytest.raises(BadRequest, match="is not an object"):
        read_schema(str(file))
    for given in ("no/such.json", "", "[]"):
        with pytest.raises(BadRequest) as caught:
            read_schema(given)
        assert "starts with {" in (caught.value.hint or "")
