"""The lines of the daemon's log, from any thread, brought to the event loop."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

from devsynthd.host.log_event import event_of
from devsynthd.host.redaction import Redaction
from devsynthd.wire.events import LogNews
from devsynthd.wire.text import named

Tell = Callable[[LogNews, float], None]


class LogLines(logging.Handler):
    """Hears what is logged, from the level on that is set for the log, while somebody listens.

    Lines that telling a line causes are left out: each would cause the next one. *redaction* is
    what must not be told.
    """

    def __init__(self, redaction: Redaction) -> None:
        super().__init__()
        self._redaction = redaction
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._tell: Tell | None = None
        self._is_telling = False

    def listen(self, tell: Tell) -> None:
        """Have *tell* called on the event loop with each line, and when it was written."""
        self._tell = tell
        logging.getLogger().addHandler(self)

    def stop(self) -> None:
        """Listen no more. Idempotent."""
        self._tell = None
        logging.getLogger().removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Pass *record* on (from any thread)."""
        if self._is_telling and threading.get_ident() == self._thread:
            return
        event = event_of(record, self._redaction)
        line = LogNews(level=event.level, message=named(event.message), fields=event.fields)
        with contextlib.suppress(RuntimeError):  # the loop is closed: so is every subscription
            self._loop.call_soon_threadsafe(self._pass_on, line, record.created)

    def _pass_on(self, line: LogNews, written_at: float) -> None:
        if self._tell is None:
            return
        self._is_telling = True
        try:
            self._tell(line, written_at)
        finally:
            self._is_telling = False
