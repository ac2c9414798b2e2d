"""One connection, and the inboxes of the requests in flight on it."""

import contextlib
import os
import threading
import time

from devsynthctl.connection import (
    Connection,
    Disconnected,
    HungUp,
    OnIdle,
    may_go_on,
    slice_s,
)
from devsynthctl.errors import BadReply
from devsynthctl.unread import Unread, not_read
from devsynthd.wire.codec import DECODE_ERRORS, decode_reply
from devsynthd.wire.replies import Error, ReceivedReply


class Inherited(HungUp):
    """The connection is that of the process which this one was forked from."""


class Session:
    """Sorts the replies by request, for any number of threads.

    Of those that wait, one reads for all: the others sleep until it has.
    """

    def __init__(self, connection: Connection, on_idle: OnIdle | None) -> None:
        self._connection, self._on_idle = connection, on_idle
        self._inboxes: dict[object, Inbox] = {}
        self._news = threading.Condition()
        self._is_read = False  # by some thread
        self._pid = os.getpid()

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended."""
        return self._connection.ended

    def send(self, body: bytes, request_id: object, until: float | None) -> "Inbox | None":
        """Send the request in *body*; return its inbox, or null if it could not be sent in time.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        inbox = self._inboxes[request_id] = Inbox(self, request_id)  # before another thread reads
        try:
            is_sent = self.post(body, until)
        except BaseException:
            self.forget(inbox)
            raise
        if is_sent:
            return inbox
        self.forget(inbox)
        return None

    def post(self, body: bytes, until: float | None) -> bool:
        """Send *body*, whose replies nobody will read; return false if that took too long.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        self._require_process()
        return self._connection.send(body, until)

    def read(self, until: float | None, inbox: "Inbox | None" = None) -> bool:
        """Wait until replies are read, by any thread; return false if none were at *until*.

        An error without an id goes to *inbox*: somebody waits for an answer to what the daemon
        could not read.

        Raises:
            Disconnected: The connection has ended, and all that came before is read.
            BadReply: Something came that is not in the protocol.
        """
        self._require_process()
        with self._news:
            if inbox and inbox.has_news:
                return True
            reads = not self._is_read
            if reads:
                self._is_read = True
            elif self._news.wait(slice_s(until)):
                return True
        if reads:
            return self._read_for_all(until, inbox)
        return may_go_on(until, self._on_idle)

    def take(self, unread: Unread) -> ReceivedReply | None:
        """Return the next of *unread*, which another thread may be adding to; null: none."""
        with self._news:
            return unread.take() if unread else None

    def forget(self, inbox: "Inbox") -> None:
        """Have further replies to the request of *inbox* thrown away."""
        with self._news:
            inbox.closed = True
            self._inboxes.pop(inbox.request_id, None)
            self._news.notify_all()  # somebody may wait for it

    def close(self) -> None:
        """Hang up; what a daemon that has gone said before stays in the inboxes."""
        if self._pid != os.getpid():
            return  # it is the other process that uses it
        with contextlib.suppress(Disconnected, BadReply):
            while self.ended and self.read(time.monotonic()):
                pass
        self._connection.close()

    def _read_for_all(self, until: float | None, reader: "Inbox | None") -> bool:
        bodies: list[bytes] = []
        faults = []
        try:
            bodies = self._connection.receive(until)
        finally:
            with self._news:
                self._is_read = False
                for body in bodies:
                    try:
                        self._sort(body, reader)
                    except BadReply as exc:
                        faults.append(exc)
                self._news.notify_all()
        if faults:
            raise faults[0]
        return bool(bodies)

    def _sort(self, body: bytes, reader: "Inbox | None") -> None:
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
            inbox.put(reply, len(body))

    def _require_process(self) -> None:
        """Refuse to touch the connection of another process."""
        if self._pid != os.getpid():
            raise Inherited


class Inbox:
    """The replies to one request that have come and are not read yet; for one thread at a time."""

    def __init__(self, session: Session, request_id: object) -> None:
        self._session, self.request_id = session, request_id
        self._unread = Unread()
        self._is_given_up = False
        self.closed = False

    @property
    def has_news(self) -> bool:
        """Whether whoever reads it need not wait."""
        return bool(self._unread) or self._is_given_up or self.closed

    def put(self, reply: ReceivedReply, body_bytes: int) -> None:
        """Take in *reply*, of *body_bytes*, unless too much is unread already."""
        self._is_given_up = self._is_given_up or not self._unread.put(reply, body_bytes)

    def next(self, until: float | None) -> ReceivedReply | None:
        """Return the next reply, or null if none has come at *until* (monotonic; null: no end).

        Raises:
            HungUp: It was closed, perhaps by another thread.
            Incomplete: A part was thrown away, since too much was unread.
            Disconnected, BadReply: As `Session.read`.
        """
        while True:
            if (reply := self._session.take(self._unread)) is not None:
                return reply
            if self.closed:
                raise HungUp
            if self._is_given_up:
                raise not_read()
            if not self._session.read(until, self):
                return None

    def send(self, body: bytes) -> None:
        """Send *body* after the request, if that is possible at once and still of any use."""
        with contextlib.suppress(Disconnected):
            self._session.post(body, time.monotonic())

    def close(self) -> None:
        """Have further replies thrown away, and end the wait of whoever reads."""
        self._session.forget(self)
