"""How events are logged: a line each, for people, for the journal or for programs."""

import json
import logging
import os
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from devsynthd.wire.events import LogLevel

LOGGER_NAME = "devsynthd"

Format = Literal["text", "journal", "json"]

# sd-daemon(3): the journal takes a line's priority from its first characters.
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
_PRIORITY_DEBUG = 7
_LEVELS: tuple[tuple[int, LogLevel], ...] = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)
_NEEDS_NO_QUOTES = re.compile(r"[^\s\"'=]+")


def setup_logging(
    level: str, log_format: str, *, stream: TextIO | None, environ: Mapping[str, str]
) -> None:
    """Log events from *level* on to *stream*; what was set up before is replaced.

    An event gets extra fields by ``logger.info("...", extra={"fields": {"model": "m"}})``. Other
    libraries are heard from ``warning`` on.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``text``, ``journal``, ``json``, or ``auto`` as ``choose_format`` says.
        stream: As a rule standard error; null, as in a process without one: nothing is written.
        environ: Where ``JOURNAL_STREAM`` is looked up.
    """
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, EventHandler)]:
        root.removeHandler(handler)
        handler.close()
    if stream is not None:
        root.addHandler(EventHandler(stream, choose_format(log_format, stream, environ)))
    logging.getLogger(LOGGER_NAME).setLevel(level.upper())


def choose_format(log_format: str, stream: TextIO, environ: Mapping[str, str]) -> Format:
    """Return *log_format*; for ``auto``, the one that whoever reads *stream* wants.

    That is ``text`` for a terminal, ``journal`` where systemd says that *stream* is its own (by
    device and inode, so that a redirected one is told apart), else ``json``.
    """
    match log_format:
        case "text" | "journal" | "json":
            return log_format
        case "auto" if _is_terminal(stream):
            return "text"
        case "auto" if environ.get("JOURNAL_STREAM", "") == _device_and_inode(stream):
            return "journal"
        case "auto":
            return "json"
        case _:
            raise ValueError(f"unknown log format {log_format!r}")


class EventHandler(logging.StreamHandler[TextIO]):
    """Writes events to a stream. One that is broken or closed is no reason to stop."""

    def __init__(self, stream: TextIO, log_format: Format) -> None:
        super().__init__(stream)
        self.setFormatter(_FORMATTERS[log_format]())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base names it
        """Show the fault if it is in the event, and not in the stream."""
        if not self.stream.closed and not isinstance(sys.exception(), OSError):
            super().handleError(record)


class TextFormatter(logging.Formatter):
    """Time, level, message and fields; a traceback follows indented."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line, and one more for each line of its traceback."""
        head = f"{_time(record)} {record.levelname.lower():<7} {_event(record)}"
        return "\n".join([head, *_indented_traceback(self, record)])


class JournalFormatter(logging.Formatter):
    """Priority, message and fields; the journal knows the time."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line, and one more for each line of its traceback."""
        levels = (priority for level, priority in _PRIORITIES if record.levelno >= level)
        prefix = f"<{next(levels, _PRIORITY_DEBUG)}>"
        lines = [_event(record), *_indented_traceback(self, record)]
        return "\n".join(f"{prefix}{line}" for line in lines)


class JsonFormatter(logging.Formatter):
    """An object with ``time``, ``level``, ``logger``, ``message``, ``fields``, ``traceback``."""

    def format(self, record: logging.LogRecord) -> str:
        """Return *record* as one line of ASCII; ``fields`` and ``traceback`` only where it has."""
        event: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if fields := fields_of(record):
            event["fields"] = fields
        if traceback := _traceback(self, record):
            event["traceback"] = traceback
        return json.dumps(event, default=str)


_FORMATTERS: dict[Format, type[logging.Formatter]] = {
    "text": TextFormatter,
    "journal": JournalFormatter,
    "json": JsonFormatter,
}


def _time(record: logging.LogRecord) -> str:
    """Return when *record* was made: UTC, ISO 8601, milliseconds."""
    moment = datetime.fromtimestamp(record.created, UTC)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def _event(record: logging.LogRecord) -> str:
    """Return message and fields of *record* in one line."""
    fields = (f"{key}={_field_value(value)}" for key, value in fields_of(record).items())
    return _one_line(" ".join([record.getMessage(), *fields]))


def level_of(record: logging.LogRecord) -> LogLevel:
    """Return the name of the level that *record* reaches."""
    return next((name for level, name in _LEVELS if record.levelno >= level), "debug")


def fields_of(record: logging.LogRecord) -> Mapping[str, object]:
    """Return what the event *record* has besides its text."""
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return fields


def _field_value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    if isinstance(value, str) and not _NEEDS_NO_QUOTES.fullmatch(text):
        return json.dumps(text, ensure_ascii=False)
    return text


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    return formatter.formatException(record.exc_info) if record.exc_info else ""


def _indented_traceback(formatter: logging.Formatter, record: logging.LogRecord) -> Iterable[str]:
    return (f"    {_one_line(line)}" for line in _traceback(formatter, record).splitlines())


def _one_line(text: str) -> str:
    """Return *text* with its control characters escaped: it may come from anywhere."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _device_and_inode(stream: TextIO) -> str | None:
    """Return what ``JOURNAL_STREAM`` says of *stream* if it is the journal's."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # it is closed, or no file
        return None
    return f"{status.st_dev}:{status.st_ino}"
