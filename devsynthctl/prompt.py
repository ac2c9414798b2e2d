"""What is asked: the words of the command line, standard input, a file of messages."""

import errno
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from devsynthd.settings.schema import BY_KEY
from devsynthd.settings.values import NotAllowed, parse_value, refusal
from devsynthd.wire.errors import BadRequest, ConfigInvalid
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import Message

_FIELDS = {
    "model": BY_KEY["llm_model"],
    "max_tokens": BY_KEY["llm_max_tokens"],
    "temperature": BY_KEY["llm_temperature"],
}


def piped_text() -> str:
    """Return what stands in standard input, empty if that is a terminal or closed.

    Raises:
        BadRequest: See `read_text`.
    """
    if sys.stdin is None or sys.stdin.isatty():
        return ""
    return read_text(sys.stdin.buffer, "stdin")


def read_text(stream: BinaryIO, name: str) -> str:
    """Return the text in *stream*, without the newlines at its end.

    Raises:
        BadRequest: It is not UTF-8, or longer than a request may be.
    """
    try:
        body = stream.read(MAX_BODY_BYTES + 1)
    except OSError as exc:
        if exc.errno == errno.EBADF:  # open for writing only, as nohup leaves it
            return ""
        raise BadRequest(
            f"{name} cannot be read: {exc.strerror}", hint="do not read it: --no-stdin"
        ) from exc
    if len(body) > MAX_BODY_BYTES:
        raise BadRequest(
            f"{name} has more than {MAX_BODY_BYTES} bytes, more than a request may have",
            hint="send less",
        )
    try:
        return body.decode().rstrip("\r\n")
    except UnicodeDecodeError as exc:
        raise BadRequest(
            f"{name} is not UTF-8 text: byte {body[exc.start]:#04x} at position {exc.start}",
            hint="convert it, as with `iconv -f latin1 -t utf-8`",
        ) from exc


def whole_prompt(words: Iterable[str], piped: str) -> str | None:
    """Return the prompt that *words* and *piped* make, null if both are blank.

    Raises:
        BadRequest: A word has bytes that are not UTF-8.
    """
    typed = " ".join(words)
    try:
        typed.encode()
    except UnicodeEncodeError as exc:
        raise BadRequest(
            "the prompt is not UTF-8 text", hint="check the terminal's locale"
        ) from exc
    parts = [part for part in (typed, piped) if part.strip()]
    return "\n\n".join(parts) or None


def read_messages(path: Path) -> list[Message]:
    """Return the messages in the JSON file *path*.

    Raises:
        BadRequest: It cannot be read, or is not a list of messages in OpenAI form.
    """
    try:
        text = path.read_text(encoding="utf-8")
        value = json.loads(text)
    except OSError as exc:
        raise BadRequest(f"{path}: {exc.strerror}", hint="-c takes a JSON file") from exc
    except UnicodeDecodeError as exc:
        raise BadRequest(f"{path} is not UTF-8 text", hint="-c takes a JSON file") from exc
    except json.JSONDecodeError as exc:
        raise BadRequest(
            f"{path}, line {exc.lineno}, column {exc.colno}: {exc.msg}", hint="-c takes a JSON file"
        ) from exc
    except RecursionError as exc:
        raise BadRequest(f"{path} is nested too deeply", hint="-c takes a JSON file") from exc
    try:
        return msgspec.convert(value, list[Message])
    except msgspec.ValidationError as exc:
        raise BadRequest(
            f"{path} is not a list of messages: {exc}",
            hint='it should look like [{"role": "user", "content": "Hello"}, ...]',
        ) from exc


def fields_of_environment(environ: Mapping[str, str], given: Iterable[str]) -> dict[str, Any]:
    """Return the fields of a generation that *environ* sets, but for those *given* already.

    The daemon has an environment of its own; this is the one of who asks.

    Raises:
        ConfigInvalid: A value is not allowed; it names the variable.
    """
    fields: dict[str, Any] = {}
    for field, setting in _FIELDS.items():
        text = environ.get(setting.env)
        if not text or field in given:
            continue
        try:
            fields[field] = parse_value(setting, text)
        except NotAllowed as exc:
            raise ConfigInvalid(
                refusal(setting, setting.env, text, exc),
                hint=f"correct it, or clear it with `unset {setting.env}`",
            ) from exc
    return fields
