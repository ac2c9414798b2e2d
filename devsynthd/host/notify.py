"""What the daemon tells systemd of itself, by the protocol of sd_notify(3)."""

import logging
import os
import socket
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from devsynthd.wire.text import named

logger = logging.getLogger(__name__)


class Notifier:
    """Tells the service manager how the daemon does. Without one it tells nobody.

    It never waits: what finds no room in the manager's queue is told with the next word.

    Args:
        environ: Where ``NOTIFY_SOCKET``, ``WATCHDOG_USEC`` and ``WATCHDOG_PID`` are looked up.
        clock: Seconds of CLOCK_MONOTONIC.

    Attributes:
        watchdog_s: How often, at the latest, ``alive`` has to be said; null: it need not.
    """

    def __init__(
        self, environ: Mapping[str, str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._address = environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):  # an abstract socket
            self._address = f"\0{self._address[1:]}"
        self._clock = clock
        self._to: socket.socket | None = None
        self._status = ""
        self._is_ready = self._is_stopping = self._is_deaf = False
        self._owed: dict[str, str] = {}  # by kind, since only the last word of each counts
        self.watchdog_s = _watchdog_s(environ) if self._address else None

    @property
    def owes(self) -> bool:
        """Whether the manager had no room for something."""
        return bool(self._owed)

    def ready(self) -> None:
        """Say that the socket answers."""
        self._is_ready = True
        if not self._is_stopping:
            self._tell("READY=1")

    def status(self, text: str) -> None:
        """Say in one line, for people, how the daemon does; nothing if that was said last."""
        if text != self._status:
            self._status = text
            self._tell(f"STATUS={named(' '.join(text.split()))}")  # a line break would end it

    @contextmanager
    def reloading(self) -> Iterator[None]:
        """Say that the settings are read anew, and at the end of the block that they have been.

        Nothing is said while it starts or stops: that it is ready would be wrong then.
        """
        is_told = self._is_ready and not self._is_stopping
        if is_told:
            self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(self._clock() * 1e6)}")
        try:
            yield
        finally:
            if is_told:
                self.ready()

    def stopping(self, within_s: float) -> None:
        """Say that the daemon ends, *within_s* seconds from now."""
        self._is_stopping = True
        self._tell(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={int(within_s * 1e6)}")

    def alive(self) -> None:
        """Feed the watchdog."""
        self._tell("WATCHDOG=1")

    def _tell(self, state: str) -> None:
        if not self._address:
            return
        kind = state.partition("=")[0]
        self._owed.pop(kind, None)
        self._owed[kind] = state
        try:
            to = self._socket()
            while self._owed:
                kind, state = next(iter(self._owed.items()))
                to.sendto(state.encode(), self._address)
                del self._owed[kind]
        except BlockingIOError:
            pass
        except OSError as exc:
            self._owed.clear()
            if not self._is_deaf:  # said once
                logger.warning("the service manager cannot be told %s: %s", state, exc)
            self._is_deaf = True
        else:
            self._is_deaf = False

    def _socket(self) -> socket.socket:
        """Return the socket to tell by: always the same, later there may be no descriptor left."""
        if self._to is None:
            self._to = to = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            to.setblocking(False)  # noqa: FBT003 - its only argument
            weakref.finalize(self, to.close)
        return self._to


def _watchdog_s(environ: Mapping[str, str]) -> float | None:
    """Return the time limit of the watchdog, if there is one and it is meant for this process."""
    pid, limit_us = environ.get("WATCHDOG_PID", ""), environ.get("WATCHDOG_USEC", "")
    if pid not in ("", str(os.getpid())) or not limit_us.isdecimal() or int(limit_us) == 0:
        return None
    return int(limit_us) / 1e6
