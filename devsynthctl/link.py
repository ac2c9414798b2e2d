"""A client's link to its daemon: a connection when one is needed."""

import itertools
import os
import threading
import time

from devsynthctl.attempts import (
    RETRY_PAUSE_S,
    OnAway,
    closed,
    hung_up_at_once,
    silent,
    too_busy,
)
from devsynthctl.connection import SILENCE_LIMIT_S, Disconnected, OnIdle, connect
from devsynthctl.errors import DaemonUnreachable, NoAnswer
from devsynthctl.knock import start_command
from devsynthctl.session import Inbox, Session
from devsynthd.host.address import socket_address


class _Process:
    """What one process has of a link: a session is not to be used after a fork."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()  # whoever is told of a wait in it may ask something else
        self.session: Session | None = None
        self.closings = 0


class Link:
    """Connects when there is something to send, and anew when the connection has ended.

    For any number of threads, and of processes that fork: each of those connects by itself.
    """

    def __init__(
        self,
        address: str | os.PathLike[str] | None,
        client_name: str,
        on_idle: OnIdle | None = None,
        on_away: OnAway | None = None,
    ) -> None:
        flag = None if address is None else os.fspath(address)
        self.address = socket_address(flag, os.environ)
        self._start_command = start_command(flag)
        self.client_name, self._on_idle, self.on_away = client_name, on_idle, on_away
        self._ids = itertools.count(1)
        self._processes = [_Process()]  # this one's is the last; those before stay untouched

    def new_id(self) -> int:
        """Return an id that no other request of this link has."""
        return next(self._ids)

    def wait(self, wait_s: float, timeout_s: float | None) -> None:
        """Connect, as soon as there is a daemon; it may take *wait_s* to appear.

        If it need not be waited for, it still has *timeout_s* (null: some time) to speak.

        Raises:
            DaemonUnreachable, NoAnswer: There was none to the end.
        """
        until = time.monotonic() + wait_s if wait_s else _later(timeout_s)
        while True:
            try:
                self.connect(until)
            except (DaemonUnreachable, NoAnswer):
                if not wait_s or time.monotonic() + RETRY_PAUSE_S >= (until or 0):
                    raise
            else:
                return
            time.sleep(RETRY_PAUSE_S)

    def connect(self, until: float | None) -> Session:
        """Return a session on a living connection, made by *until* (monotonic) if need be.

        Raises:
            DaemonUnreachable, NoAnswer: As `devsynthctl.connection.connect`.
        """
        mine = self._mine()
        if (session := mine.session) and not session.ended:
            return session
        return self._connect(mine, until)

    def _connect(self, mine: _Process, until: float | None) -> Session:
        limit = time.monotonic() + SILENCE_LIMIT_S
        limit = limit if until is None else min(limit, until)
        closings = mine.closings

        def on_idle() -> None:
            if mine.closings != closings:
                raise closed()
            if self._on_idle:
                self._on_idle()

        if not mine.lock.acquire(timeout=max(0.0, limit - time.monotonic())):
            raise silent(self.address.path)  # another thread has waited as long
        try:
            if mine.closings != closings:
                raise closed()
            if mine.session and mine.session.ended:
                mine.session.close()
                mine.session = None
            if mine.session is None:
                connection = connect(self.address, limit, self._start_command, on_idle)
                mine.session = Session(
                    connection, self.address.path, self.client_name, self._on_idle
                )
            return mine.session
        finally:
            mine.lock.release()

    def send(self, body: bytes, request_id: object, until: float | None) -> Inbox:
        """Send *body*, by *until* (monotonic), and return the inbox for its replies.

        Raises:
            DaemonUnreachable, NoAnswer, ConnectionLost: It was not sent.
        """
        return self.send_on(self.connect(until), body, request_id, until)

    def send_on(
        self, session: Session, body: bytes, request_id: object, until: float | None
    ) -> Inbox:
        """Do as ``send``, on *session*, which ``connect`` has just returned, if that still lives.

        Raises:
            DaemonUnreachable, NoAnswer, ConnectionLost: It was not sent.
        """
        try:
            inbox = session.send(body, request_id, until)
        except Disconnected:
            inbox = self._send_anew(body, request_id, until)
        if inbox is None:
            raise too_busy(self.address.path)
        return inbox

    def close(self) -> None:
        """Hang up; the daemon cancels what was in flight. A later request connects again."""
        mine = self._mine()
        mine.closings += 1  # ends an attempt to connect
        with mine.lock:
            if mine.session:
                mine.session.close()
                mine.session = None

    def _mine(self) -> _Process:
        if self._processes[-1].pid != os.getpid():
            self._processes.append(_Process())
        return self._processes[-1]

    def _send_anew(self, body: bytes, request_id: object, until: float | None) -> Inbox | None:
        """Do it on a new connection: the old one ended since the last request."""
        try:
            return self.connect(until).send(body, request_id, until)
        except Disconnected:
            raise hung_up_at_once(self.address.path) from None


def _later(seconds: float | None) -> float | None:
    """Return the monotonic time *seconds* from now; null: no end."""
    return None if seconds is None else time.monotonic() + seconds
