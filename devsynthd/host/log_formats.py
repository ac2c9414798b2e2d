"""An event of the log as text: for people, for the journal, for programs. Pure."""

import json
import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Literal

from devsynthd.host.log_event import Event
from devsynthd.wire.events import LogLevel

Format = Literal["text", "colour", "journal", "json"]

PRIORITIES: dict[LogLevel, int] = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
"""What syslog(3) and the journal call the levels."""

_COLOURS: dict[LogLevel, str] = {
    "critical": "1;31",
    "error": "31",
    "warning": "33",
    "info": "32",
    "debug": "2",
}
"""SGR parameters of ECMA-48: red, yellow, green, faint."""

_NEEDS_NO_QUOTES = re.compile(r"[^\s\"'=]+")


def as_text(event: Event) -> str:
    """Return *event* as time, level, message and fields; a traceback follows, indented."""
    return _text(event, f"{event.level:<7}")


def as_coloured_text(event: Event) -> str:
    """Return the same with its level in colour, for a terminal."""
    return _text(event, f"\x1b[{_COLOURS[event.level]}m{event.level:<7}\x1b[0m")


def as_prefixed_text(event: Event) -> str:
    """Return *event* with its priority before each line, as sd-daemon(3) has it; no time."""
    prefix = f"<{PRIORITIES[event.level]}>"
    return "\n".join(f"{prefix}{line}" for line in [sentence(event), *_indented(event.traceback)])


def as_json(event: Event) -> str:
    """Return *event* as one line of ASCII.

    An object with ``time``, ``level``, ``logger``, ``message``; ``fields`` and ``traceback`` only
    where it has any.
    """
    told: dict[str, Any] = {
        "time": _time(event),
        "level": event.level,
        "logger": event.logger,
        "message": event.message,
    }
    if event.fields:
        told["fields"] = event.fields
    if event.traceback:
        told["traceback"] = event.traceback
    return json.dumps(told)


FORMATS: dict[Format, Callable[[Event], str]] = {
    "text": as_text,
    "colour": as_coloured_text,
    "journal": as_prefixed_text,
    "json": as_json,
}


def sentence(event: Event) -> str:
    """Return message and fields of *event* in one line."""
    fields = (f"{key}={_in_sentence(value)}" for key, value in event.fields.items())
    return one_line(" ".join([event.message, *fields]))


def one_line(text: str) -> str:
    """Return *text* with its control characters escaped: it may come from anywhere."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def field_value(value: Any) -> str:  # noqa: ANN401 - JSON is anything
    """Return the value of a field as text."""
    return value if isinstance(value, str) else json.dumps(value)


def _in_sentence(value: Any) -> str:  # noqa: ANN401 - JSON is anything
    if isinstance(value, str) and not _NEEDS_NO_QUOTES.fullmatch(value):
        return json.dumps(value, ensure_ascii=False)
    return field_value(value)


def _text(event: Event, level: str) -> str:
    head = f"{_time(event)} {level} {sentence(event)}"
    return "\n".join([head, *_indented(event.traceback)])


def _time(event: Event) -> str:
    """Return when *event* was: UTC, ISO 8601, milliseconds."""
    moment = datetime.fromtimestamp(event.created, UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _indented(traceback: str) -> Iterable[str]:
    return (f"    {one_line(line)}" for line in traceback.splitlines())
