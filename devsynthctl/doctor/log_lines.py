"""What a report tells of the daemon's log: lines that can have no prompt and no answer. Pure.

Such lines are the daemon's own above ``debug``, without the texts of exceptions, which may quote
anything; those of the service manager; and where a process has crashed. What else is written to
standard error, for instance by an engine, is left out.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.host.log_formats import PRIORITIES, field_value, one_line

_REQUESTS = "devsynthd.service.call_lines"
"""Whose lines say how requests ended; those of older daemons may go on with what a server said."""

_MANAGERS = frozenset({"systemd", "(devsynthd)"})  # the latter: a process that is about to be ours
_LEVELS = {str(priority): level for level, priority in PRIORITIES.items()} | {"5": "notice"}
_INFO = PRIORITIES["info"]
_FRAME = re.compile(r'\s*File "[^"]*", line \d+(?:,? in \S+)?')
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")
_CRASH = re.compile(
    r'Fatal Python error: [\w ]+|(?:Current thread|Thread) 0x[0-9a-f]+.*|  File "[^"]*", line .*'
    r"|Timeout \([\d:.]+\)!|Traceback \(most recent call last\):"
)
_LEFT_OUT = "({} lines that are not of the daemon's log itself are left out)"


class _Line(Struct):
    """A line of the log file: see ``devsynthd.host.log_formats.as_json``."""

    time: str
    level: str
    logger: str
    message: str
    fields: dict[str, Any] = {}
    traceback: str = ""


def file_lines(lines: Iterable[bytes]) -> list[str]:
    """Return what may be told of *lines* of the log file; what is cut off is no line."""
    told = []
    for line in lines:
        try:
            event = msgspec.json.decode(line, type=_Line)
        except ValueError:
            continue
        if event.level != "debug":
            message = _without_words(event.logger, event.message)
            fields = [f"{name}={field_value(value)}" for name, value in event.fields.items()]
            words = [event.time, event.level, message, *fields, *_places(event.traceback)]
            told.append(" ".join(words))
    return told


def journal_lines(entries: Iterable[str]) -> list[str]:
    """Return what may be told of *entries* of the journal, each a JSON object (journalctl(1))."""
    told, left_out = [], 0
    for entry in entries:
        try:
            fields = msgspec.json.decode(entry, type=dict[str, Any])
        except ValueError:
            continue
        message = _message(fields)
        if message is None:
            left_out += 1
        elif message:
            told.append(f"{_time(fields)} {message}")
    return [*told, _LEFT_OUT.format(left_out)] if left_out else told


def _message(fields: Mapping[str, Any]) -> str | None:
    """Return level and text of an entry: "" for one for debugging, null for one of who knows."""
    priority, text = str(fields.get("PRIORITY", _INFO)), fields.get("MESSAGE")
    level = _LEVELS.get(priority, priority)
    if priority == str(PRIORITIES["debug"]):
        return ""
    if not isinstance(text, str):  # it is not UTF-8, or too long
        return None
    logger = fields.get("LOGGER")
    if logger is None:
        is_known = fields.get("SYSLOG_IDENTIFIER") in _MANAGERS or _CRASH.fullmatch(text)
        return f"{level} {text}" if is_known else None
    traceback = fields.get("EXCEPTION_TEXT", "")
    if not isinstance(traceback, str):
        return None
    if traceback:
        text = text.removesuffix(f": {one_line(traceback.splitlines()[-1])}")
    short = _without_words(str(logger), text)
    code = fields.get("DEVSYNTH_ERROR")
    words = [level, short] + ([f"error={code}"] if code and short != text else [])
    return " ".join([*words, *_places(traceback)])


def _without_words(logger: str, message: str) -> str:
    """Return *message* of *logger*, without what others may have said in it."""
    return message.partition(": ")[0] if logger == _REQUESTS else message


def _places(traceback: str) -> list[str]:
    """Return of *traceback* where it went, and what kind of exception it was, without its words."""
    if not traceback:
        return []
    places: list[str] = []
    kind = "an exception"
    is_at_place = True  # what follows a place at the left margin is the exception; then its words
    for line in traceback.splitlines():
        if frame := _FRAME.match(line):
            places.append(frame[0].strip())
            is_at_place = True
        elif is_at_place and not line.startswith((" ", "Traceback")):
            found = _EXCEPTION.match(line)
            kind, is_at_place = (found[0] if found else kind), False
    return [f"({'; '.join([*places, kind])})"]


def _time(fields: Mapping[str, Any]) -> str:
    try:
        moment = datetime.fromtimestamp(int(fields["__REALTIME_TIMESTAMP"]) / 1e6, UTC)
    except (KeyError, TypeError, ValueError, OverflowError, OSError):
        return "?"
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
