"""Where events are logged to, and in which form."""

import logging
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TextIO

from devsynthd.host.journal import SOCKET, Journal
from devsynthd.host.log_event import Event, event_of
from devsynthd.host.log_file import RotatingFile, is_under_launchd, log_file
from devsynthd.host.log_formats import FORMATS, Format, as_json
from devsynthd.host.log_stream import Stream
from devsynthd.host.redaction import Redaction
from devsynthd.wire.errors import ConfigInvalid

LOGGER_NAME = "devsynthd"


class Sink(Protocol):
    """Somewhere to log to; *name* is what people call it."""

    name: str

    def write(self, event: Event) -> None:
        """Write one event.

        Raises:
            BlockingIOError: Its reader does not keep up: the event is lost.
            OSError: It is of no use, at least for now.
        """

    def close(self) -> None:
        """Let go of it."""


def setup_logging(
    level: str,
    log_format: str,
    *,
    stream: TextIO | None,
    environ: Mapping[str, str],
    redaction: Redaction,
    journal: Path = SOCKET,
) -> None:
    """Log events from *level* on; what was set up before is replaced.

    Other libraries are heard from ``warning`` on.

    Args:
        level: ``debug``, ``info``, ``warning`` or ``error``.
        log_format: ``text``, ``journal``, ``json``, or ``auto`` as ``choose_format`` says. Under
            launchd ``auto`` is JSON in a file of our own.
        stream: As a rule standard error; null, as in a process without one: nothing is written.
        environ: Says who has started this process, and what its terminal can show.
        redaction: What must not be told.
        journal: Where the journal listens.
    """
    root = logging.getLogger()
    for handler in [h for h in root.handlers if isinstance(h, EventHandler)]:
        root.removeHandler(handler)
        handler.close()
    if sinks := [*_files(log_format, environ), *_streams(log_format, stream, environ, journal)]:
        root.addHandler(EventHandler(sinks, redaction))
    logging.getLogger(LOGGER_NAME).setLevel(level.upper())


def _files(log_format: str, environ: Mapping[str, str]) -> list[Sink]:
    """Return the file that comes before standard error, if there is to be one."""
    if log_format != "auto" or not is_under_launchd(environ):
        return []
    with suppress(ConfigInvalid):  # no home: standard error will do
        return [RotatingFile(log_file(), as_json)]
    return []


def _streams(
    log_format: str, stream: TextIO | None, environ: Mapping[str, str], journal: Path
) -> list[Sink]:
    """Return what leads to who reads *stream*: the first that works."""
    if stream is None:
        return []
    chosen = choose_format(log_format, stream, environ)
    plain = Stream(stream, FORMATS[chosen])
    if chosen == "journal" and _is_the_journal(stream, environ):
        return [Journal(journal), plain]
    return [plain]


def choose_format(log_format: str, stream: TextIO, environ: Mapping[str, str]) -> Format:
    """Return *log_format*; for ``auto``, the one that whoever reads *stream* wants.

    That is ``text`` for a terminal, ``journal`` where systemd says that *stream* is its own (by
    device and inode, so that a redirected one is told apart), else ``json``. Text is ``colour``
    on a terminal that has some, unless NO_COLOR is set.
    """
    match log_format:
        case "journal" | "json":
            return log_format
        case "text" | "auto" if _is_terminal(stream):
            has_colours = not environ.get("NO_COLOR") and environ.get("TERM", "dumb") != "dumb"
            return "colour" if has_colours else "text"
        case "text":
            return "text"
        case "auto":
            return "journal" if _is_the_journal(stream, environ) else "json"
        case _:
            raise ValueError(f"unknown log format {log_format!r}")


class EventHandler(logging.Handler):
    """Writes events to the first of *sinks* that takes them. None of them is a reason to stop.

    What could not be written is counted, and the count told as soon as something can be again.
    """

    def __init__(self, sinks: Sequence[Sink], redaction: Redaction) -> None:
        super().__init__()
        self._sinks, self._redaction = sinks, redaction
        self._lost = 0
        self._broken: set[str] = set()  # sinks that have been complained about

    def emit(self, record: logging.LogRecord) -> None:
        """Write *record*."""
        event = event_of(record, self._redaction)
        try:
            if self._lost:
                self._write(_note(f"lines of the log lost, since nobody read them: {self._lost}"))
                self._lost = 0
            self._write(event)
        except BlockingIOError:
            self._lost += 1
        except (OSError, ValueError):  # of a stream that is being closed
            pass  # nobody can be told

    def close(self) -> None:
        """Close the sinks."""
        for sink in self._sinks:
            sink.close()
        super().close()

    def _write(self, event: Event) -> None:
        for sink in self._sinks[:-1]:
            try:
                sink.write(event)
            except BlockingIOError:
                raise
            except OSError as exc:
                self._complain(sink, exc)
            else:
                self._broken.discard(sink.name)
                return
        self._sinks[-1].write(event)

    def _complain(self, sink: Sink, exc: OSError) -> None:
        """Say once that *sink* is of no use, where its events go meanwhile."""
        if sink.name not in self._broken:
            self._broken.add(sink.name)
            where = self._sinks[-1]
            why = exc.strerror or str(exc)
            where.write(_note(f"cannot write to {sink.name} ({why}): logging to {where.name}"))


def _note(message: str) -> Event:
    """Return a warning about the log itself."""
    record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, None, None)
    return event_of(record, Redaction())


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _is_the_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether *stream* is what ``JOURNAL_STREAM`` says."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # it is closed, or no file
        return False
    return environ.get("JOURNAL_STREAM", "") == f"{status.st_dev}:{status.st_ino}"
