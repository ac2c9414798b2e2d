"""Replies and errors as JSON, one object a line. Pure."""

import msgspec
from msgspec import Raw

from devsynthctl.render.text import escaped
from devsynthd.wire.objects import ErrorInfo


def result_line(result: Raw) -> str:
    """Return the MessagePack *result* as one line of JSON, fields unknown here included."""
    return _line(msgspec.msgpack.decode(result))


def error_line(error: ErrorInfo) -> str:
    """Return *error* as a reply of the protocol has it, in one line of JSON."""
    return _line({"error": error})


def _line(value: object) -> str:
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # it has the name of a file, and that is no text
        import json  # noqa: PLC0415 - rarely needed

        text = json.dumps(msgspec.to_builtins(value))
    return escaped(text) + "\n"
