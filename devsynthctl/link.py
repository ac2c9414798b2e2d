"""A client's link to its daemon: a connection when one is needed, its replies sorted by request."""

import contextlib
import itertools
import os
import shlex
import time
from collections import deque
from typing import Any

import zmq

from devsynthctl.connection import Connection, Disconnected, OnIdle, connect
from devsynthctl.errors import BadReply, ConnectionLost, DaemonUnreachable, NoAnswer
from devsynthd.host.address import socket_address
from devsynthd.wire.codec import DECODE_ERRORS, decode_reply
from devsynthd.wire.replies import Error, ReceivedReply

RETRY_PAUSE_S = 0.05
"""Between two looks whether a daemon has come (back)."""


class Session:
    """One connection, and the inboxes of the requests in flight on it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._inboxes: dict[object, Inbox] = {}

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended."""
        return self._connection.ended

    def send(self, body: bytes, request_id: object, until: float | None) -> "Inbox | None":
        """Send the request in *body*; return its inbox, or null if it could not be sent in time.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        if not self.post(body, until):
            return None
        inbox = self._inboxes[request_id] = Inbox(self, request_id)
        return inbox

    def post(self, body: bytes, until: float | None) -> bool:
        """Send *body*, whose replies nobody will read; return false if that took too long."""
        return self._connection.send(body, until)

    def read_one(self, until: float | None, reader: "Inbox | None" = None) -> bool:
        """Read one reply into its inbox; return false if none has come at *until* (monotonic).

        An error without an id goes to *reader*: somebody waits for an answer to what the daemon
        could not read.

        Raises:
            Disconnected: The connection has ended, and all that came before is read.
            BadReply: Something came that is not in the protocol.
        """
        body = self._connection.receive(until)
        if body is None:
            return False
        try:
            reply = decode_reply(body)
        except DECODE_ERRORS as exc:
            raise BadReply(
                f"the reply is not in the protocol: {exc}",
                hint="does this socket belong to devsynthd, and to one of the same version?",
            ) from exc
        nobody_named = isinstance(reply, Error) and reply.id is None
        inbox = reader if nobody_named else self._inboxes.get(reply.id)
        if inbox:  # else it was cancelled, and nobody wants to know any more
            inbox.replies.append(reply)
        return True

    def forget(self, request_id: object) -> None:
        """Have further replies to *request_id* thrown away."""
        self._inboxes.pop(request_id, None)

    def close(self) -> None:
        """Hang up; what a daemon that has gone said before stays in the inboxes."""
        with contextlib.suppress(Disconnected, BadReply):
            while self.ended and self.read_one(time.monotonic()):
                pass
        self._connection.close()


class Inbox:
    """The replies to one request that have come and are not read yet."""

    def __init__(self, session: Session, request_id: object) -> None:
        self._session, self._id = session, request_id
        self.replies: deque[ReceivedReply] = deque()

    def next(self, until: float | None) -> ReceivedReply | None:
        """Return the next reply, or null if none has come at *until* (monotonic; null: no end).

        Raises:
            Disconnected, BadReply: As `Session.read_one`.
        """
        while not self.replies:
            if not self._session.read_one(until, self):
                return None
        return self.replies.popleft()

    def send(self, body: bytes) -> None:
        """Send *body* after the request, if that is possible at once and still of any use."""
        with contextlib.suppress(Disconnected):
            self._session.post(body, time.monotonic())

    def close(self) -> None:
        """Have further replies thrown away."""
        self._session.forget(self._id)


class Link:
    """Connects when there is something to send, and anew when the connection has ended."""

    def __init__(
        self,
        address: str | os.PathLike[str] | None,
        client_name: str,
        on_idle: OnIdle | None = None,
    ) -> None:
        flag = None if address is None else os.fspath(address)
        self.address = socket_address(flag, os.environ)
        self._start_command = "devsynthd"
        if flag is not None:
            self._start_command += f" --socket {shlex.quote(flag)}"
        self.client_name, self._on_idle = client_name, on_idle
        self._ids = itertools.count(1)
        self._context: zmq.Context[Any] | None = None
        self._session: Session | None = None

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
        if self._session and self._session.ended:
            self._session.close()
            self._session = None
        if self._session is None:
            self._context = self._context or zmq.Context()
            connection = connect(
                self._context, self.address, until, self._start_command, self._on_idle
            )
            self._session = Session(connection)
        return self._session

    def send(self, body: bytes, request_id: object, until: float | None) -> Inbox:
        """Send *body*, by *until* (monotonic), and return the inbox for its replies.

        Raises:
            DaemonUnreachable, NoAnswer, ConnectionLost: It was not sent.
        """
        try:
            inbox = self.connect(until).send(body, request_id, until)
        except Disconnected:
            inbox = self._send_anew(body, request_id, until)
        if inbox is None:
            raise NoAnswer(
                f"the daemon at {self.address.path} takes no more requests",
                hint="is it stuck? Its log tells",
            )
        return inbox

    def close(self) -> None:
        """Hang up; the daemon cancels what was in flight. A later request connects again."""
        if self._session:
            self._session.close()
            self._session = None
        if self._context:
            self._context.term()
            self._context = None

    def _send_anew(self, body: bytes, request_id: object, until: float | None) -> Inbox | None:
        """Do it on a new connection: the old one ended since the last request."""
        try:
            return self.connect(until).send(body, request_id, until)
        except Disconnected:
            raise ConnectionLost(
                f"the daemon at {self.address.path} hung up at once",
                hint="its log tells why",
            ) from None


def _later(seconds: float | None) -> float | None:
    """Return the monotonic time *seconds* from now; null: no end."""
    return None if seconds is None else time.monotonic() + seconds
