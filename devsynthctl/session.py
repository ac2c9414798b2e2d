"""One connection, and the inboxes of the requests in flight on it."""

import contextlib
import os
import threading
import time
from collections.abc import Callable
from functools import partial

from devsynthctl.attempts import bad_reply, busy, lost, too_late
from devsynthctl.connection import (
    Connection,
    Disconnected,
    HungUp,
    OnIdle,
    may_go_on,
    slice_s,
)
from devsynthctl.errors import error_from
from devsynthctl.liveness import Liveness, Pulse, question
from devsynthctl.unread import Unread, not_read
from devsynthd.wire.codec import DECODE_ERRORS, decode_reply
from devsynthd.wire.replies import Error, ReceivedReply

_LAST_WORDS_S = 1.0
"""How long what a daemon said before it went away is read at most."""


class Inherited(HungUp):
    """The connection is that of the process which this one was forked from."""


class Session:
    """Sorts the replies by request, for any number of threads.

    Of those that wait, one reads for all: the others sleep until it has. A daemon at *path* that
    stays silent is asked whether it lives, and given up if it does not say so.
    """

    def __init__(
        self,
        connection: Connection,
        path: os.PathLike[str],
        client_name: str,
        on_idle: OnIdle | None,
    ) -> None:
        self._connection, self._path = connection, path
        self._client_name, self._on_idle = client_name, on_idle
        self._liveness = Liveness()
        self._inboxes: dict[object, Inbox] = {}
        self._lock = threading.RLock()  # what the garbage collector closes comes here at any time
        self._news = threading.Condition(self._lock)
        self._asleep = 0
        self._reader: int | None = None  # the thread
        self._pid = os.getpid()

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended."""
        return self._connection.ended

    def send(self, body: bytes, request_id: object, until: float | None) -> "Inbox | None":
        """Send the request in *body*; return its inbox, or null if it could not be sent in time.

        To be called in the process only that has made the session.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        inbox = Inbox(self, request_id)
        with self._lock:
            self._inboxes[request_id] = inbox  # before another thread reads its first reply
        try:
            is_sent = self._connection.send(body, until)
        except BaseException:
            self.forget(inbox)
            raise
        if is_sent:
            return inbox
        self.forget(inbox)
        return None

    def post(self, body: bytes) -> None:
        """Send *body*, whose replies nobody will read, if that is still of any use."""
        if self._pid == os.getpid():
            self._connection.post(body)

    def read(self, until: float | None, inbox: "Inbox | None" = None) -> bool:
        """Wait until replies are read, by any thread; return false if none were at *until*.

        Raises:
            Disconnected: The connection has ended, and all that came before is read.
        """
        self._require_process()
        me, is_reader = threading.get_ident(), False
        try:
            with self._lock:
                if inbox and inbox.has_news:
                    return True
                before = self._reader
                if before is None:
                    is_reader, self._reader = True, me
                elif before != me and self._sleep(until):
                    return True
            if before == me and self._connection.holds_bodies:
                raise busy()
            if is_reader or before == me:  # ourselves: what we wait in has asked something else
                return self._read_for_all(until)
        except BaseException:
            if is_reader and self._connection.holds_bodies:
                # A signal's handler has raised, and they are lost: none shall wait for them.
                with self._lock:
                    self._fail(partial(lost, self._path))
            raise
        finally:
            if is_reader:
                with self._lock:
                    self._reader = None
                    self._wake()
        return may_go_on(until, self._on_idle)

    def take(self, unread: Unread) -> ReceivedReply | None:
        """Return the next of *unread*, which another thread may be adding to; null: none."""
        self._require_process()  # what the lock is in, after a fork, nobody knows
        with self._lock:
            return unread.take() if unread else None

    def forget(self, inbox: "Inbox") -> None:
        """Have further replies to the request of *inbox* thrown away."""
        if self._pid != os.getpid():
            return  # see `take`
        with self._lock:
            inbox.end(HungUp)
            self._inboxes.pop(inbox.request_id, None)
            self._wake()  # somebody may wait for it

    def close(self) -> None:
        """Hang up; what a daemon that has gone said before stays in the inboxes."""
        if self._pid != os.getpid():
            return  # it is the other process that uses it
        if self.ended:
            # Also if another thread reads: until it has come to the end.
            until = time.monotonic() + _LAST_WORDS_S
            with contextlib.suppress(Disconnected):
                while time.monotonic() < until:
                    self.read(until)
        self._connection.close()

    def _sleep(self, until: float | None) -> bool:
        """Wait a while, with the lock, for another thread to read; return whether it has."""
        self._asleep += 1
        try:
            return self._news.wait(slice_s(until))
        finally:
            self._asleep -= 1

    def _wake(self) -> None:
        if self._asleep:
            self._news.notify_all()

    def _read_for_all(self, until: float | None) -> bool:
        started = time.monotonic()
        bodies = self._connection.receive(started + slice_s(until))
        if not bodies:
            self._note_silence(time.monotonic() - started)
            return may_go_on(until, self._on_idle)
        self._liveness.heard()
        with self._lock:
            for body in bodies:
                self._sort(body)
            self._connection.holds_bodies = False
        return True

    def _note_silence(self, seconds: float) -> None:
        match self._liveness.waited(seconds):
            case Pulse.ASK:
                self._connection.post(question(self._client_name))
            case Pulse.GONE:
                with self._lock:
                    self._fail(partial(too_late, self._path))

    def _sort(self, body: bytes) -> None:
        try:
            reply = decode_reply(body)
        except DECODE_ERRORS as exc:
            self._fail(partial(bad_reply, str(exc)))
            return
        if isinstance(reply, Error) and reply.id is None:
            # Whose it is cannot be known: nobody shall wait for what will never come.
            self._fail(partial(error_from, reply.error))
            return
        inbox = self._inboxes.get(reply.id)
        if inbox:  # else it was cancelled, and nobody wants to know any more
            inbox.put(reply, len(body))

    def _fail(self, reason: Callable[[], Exception]) -> None:
        for inbox in [*self._inboxes.values()]:
            inbox.end(reason)
        self._connection.close()

    def _require_process(self) -> None:
        """Refuse to touch the connection of another process."""
        if self._pid != os.getpid():
            raise Inherited


class Inbox:
    """The replies to one request that have come and are not read yet; for one thread at a time."""

    def __init__(self, session: Session, request_id: object) -> None:
        self.session, self.request_id = session, request_id
        self._unread = Unread()
        self._end: Callable[[], Exception] | None = None

    @property
    def has_news(self) -> bool:
        """Whether whoever reads it need not wait."""
        return bool(self._unread) or self._end is not None

    def put(self, reply: ReceivedReply, body_bytes: int) -> None:
        """Take in *reply*, of *body_bytes*, unless too much is unread already."""
        if not self._unread.put(reply, body_bytes):
            self.end(not_read)

    def end(self, reason: Callable[[], Exception]) -> None:
        """Have who has read all that is here get a new *reason*, unless there is one already."""
        self._end = self._end or reason

    def next(self, until: float | None) -> ReceivedReply | None:
        """Return the next reply, or null if none has come at *until* (monotonic; null: no end).

        Raises:
            HungUp: It was closed, perhaps by another thread.
            Incomplete: A part was thrown away, since too much was unread.
            DevsynthError: The daemon refuses this client, or does not speak the protocol.
            Disconnected: As `Session.read`.
        """
        while True:
            if self._unread and (reply := self.session.take(self._unread)) is not None:
                return reply
            if self._end is not None:
                raise self._end()
            try:
                if not self.session.read(until, self):
                    return None
            except HungUp:
                if self._end is None:
                    raise

    def send(self, body: bytes) -> None:
        """Send *body* after the request, if that is still of any use; never waits."""
        self.session.post(body)

    def close(self) -> None:
        """Have further replies thrown away, and end the wait of whoever reads."""
        self.session.forget(self)
