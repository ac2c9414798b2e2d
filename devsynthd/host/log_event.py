"""What is told of one thing that was logged, whoever it is told to."""

import logging
import traceback
from typing import Any

from msgspec import Struct

from devsynthd.host.redaction import Excerpt, Redaction
from devsynthd.wire.events import LogLevel, plain

_LEVELS: tuple[tuple[int, LogLevel], ...] = (
    (logging.CRITICAL, "critical"),
    (logging.ERROR, "error"),
    (logging.WARNING, "warning"),
    (logging.INFO, "info"),
)


class Event(Struct, frozen=True, kw_only=True):
    """One event, free of secrets. *created* is Unix time; *fields* are JSON-like.

    *traceback* is "" where there was no exception, else all of its lines.
    """

    created: float
    level: LogLevel
    logger: str
    message: str
    fields: dict[str, Any]
    traceback: str
    file: str
    line: int
    function: str


def event_of(record: logging.LogRecord, redaction: Redaction) -> Event:
    """Return what *record* tells. It never fails: what a line is made of may be wrong in any way.

    A record has fields by ``logger.info("...", extra={"fields": {"model": "m"}})``.
    """
    return Event(
        created=record.created,
        level=next((name for level, name in _LEVELS if record.levelno >= level), "debug"),
        logger=record.name,
        message=redaction.text(_message(record)),
        fields=_fields(record, redaction),
        traceback=redaction.text(_traceback(record)),
        file=record.pathname,
        line=record.lineno,
        function=record.funcName or "",
    )


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 - an argument may refuse to be text
        return f"{record.msg} (the arguments of this line cannot be told)"


def _fields(record: logging.LogRecord, redaction: Redaction) -> dict[str, Any]:
    fields: dict[str, object] = getattr(record, "fields", {})
    told: dict[str, Any] = {}
    for name, value in fields.items():
        try:
            told[name] = redaction.value(value if isinstance(value, Excerpt) else plain(value))
        except Exception:  # noqa: BLE001 - as above
            told[name] = f"(a {type(value).__name__} that cannot be told)"
    return told


def _traceback(record: logging.LogRecord) -> str:
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    try:
        return "".join(traceback.format_exception(record.exc_info[1])).rstrip("\n")
    except Exception:  # noqa: BLE001 - as above
        return f"{type(record.exc_info[1]).__name__} (its traceback cannot be told)"
