"""What is asked: words of the command line, standard input, files of messages and schemas."""

import errno
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import Message


def piped_text(unreadable_hint: str, *, raw: bool = False) -> str:
    """Return what stands in standard input, empty if that is a terminal or closed.

    *unreadable_hint* says what to do where it cannot be read. *raw*: to the letter, else without
    the newlines at its end.

    Raises:
        BadRequest: See `read_text`.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    text = read_text(sys.stdin.buffer, "stdin", unreadable_hint)
    return text if raw else text.rstrip("\r\n")


def read_text(stream: BinaryIO, name: str, unreadable_hint: str) -> str:
    """Return the text in *stream*, which errors call *name*.

    Raises:
        BadRequest: It cannot be read, is not UTF-8, or is longer than a request may be.
    """
    try:
        body = stream.read(MAX_BODY_BYTES + 1)
    except OSError as exc:
        if exc.errno == errno.EBADF:  # open for writing only, as nohup leaves it
            return ""
        raise BadRequest(f"{name} cannot be read: {exc.strerror}", hint=unreadable_hint) from exc
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(
            f"{name} has more than {MAX_BODY_BYTES} bytes, more than a request may have",
            hint="send less",
        )
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise BadRequest(
            f"{name} is not UTF-8 text: byte {body[exc.start]:#04x} at position {exc.start}",
            hint="convert it, as with `iconv -f latin1 -t utf-8`",
        ) from exc


def whole_prompt(words: Iterable[str], piped: str) -> str | None:
    """Return the prompt that *words* and *piped* make, null if both are blank."""
    parts = [part for part in (" ".join(words), piped) if part.strip()]
    return "\n\n".join(parts) or None


def raw_prompt(words: Iterable[str], piped: str) -> str | None:
    """Return the prompt that is to be gone on with, to the letter; null if there is none."""
    words = [*words]
    parts = [part for part in (" ".join(words), piped) if part]
    return "\n\n".join(parts) if words or parts else None


def read_messages(path: Path) -> list[Message]:
    """Return the messages in the JSON file *path*.

    Raises:
        BadRequest: It cannot be read, or is not a list of messages in OpenAI form.
    """
    value = _read_json(path, "-c takes a JSON file")
    try:
        return msgspec.convert(value, list[Message])
    except msgspec.ValidationError as exc:
        raise BadRequest(
            f"{path} is not a list of messages: {exc}",
            hint='it should look like [{"role": "user", "content": "Hello"}, ...]',
        ) from exc


def read_schema(given: str) -> dict[str, Any]:
    """Return the JSON Schema *given*: itself if it starts with ``{``, else a JSON file's path.

    Raises:
        BadRequest: It cannot be read, or is not a JSON object.
    """
    hint = "--schema takes a JSON file, or JSON that starts with {"
    if given.lstrip().startswith("{"):
        name, value = "--schema", _json_value(given, "--schema", hint)
    else:
        name, value = given, _read_json(Path(given), hint)
    if not isinstance(value, dict):
        raise BadRequest(f"{name} is not a JSON Schema: it is not an object", hint=hint)
    return value


def _read_json(path: Path, hint: str) -> object:
    try:
        with path.open("rb") as file:
            text = read_text(file, str(path), hint)
    except OSError as exc:
        raise BadRequest(f"{path}: {exc.strerror}", hint=hint) from exc
    return _json_value(text, str(path), hint)


def _json_value(text: str, name: str, hint: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as exc:
        raise BadRequest(
            f"{name}, line {exc.lineno}, column {exc.colno}: {exc.msg}", hint=hint
        ) from exc
    except RecursionError as exc:
        raise BadRequest(f"{name} is nested too deeply", hint=hint) from exc
    except ValueError as exc:  # Python reads integers up to a limit only
        raise BadRequest(f"{name} has a number with too many digits", hint=hint) from exc
