"""Replies, errors and parts of them as JSON, one value a line. Pure."""

import msgspec
from msgspec import Raw

from devsynthctl.render.text import escaped
from devsynthd.wire.objects import ErrorInfo


def result_line(result: Raw) -> str:
    """Return the MessagePack *result* as one line of JSON, fields unknown here included."""
    return json_line(msgspec.msgpack.decode(result))


def error_line(error: ErrorInfo) -> str:
    """Return *error* as a reply of the protocol has it, in one line of JSON."""
    return json_line({"error": error})


def json_line(value: object) -> str:
    """Return *value* as one line of JSON."""
    try:
        text = msgspec.json.encode(value).decode()
    except UnicodeEncodeError:  # it has the name of a file, and that is no text
        import json  # noqa: PLC0415 - rarely needed

        text = json.dumps(msgspec.to_builtins(value))
    return escaped(text) + "\n"
