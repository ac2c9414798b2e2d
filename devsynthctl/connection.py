"""One connection to a daemon: bytes out, bytes in, and the news that it has ended."""

import contextlib
import math
import os
import select
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

import zmq

from devsynthctl.attempts import silent
from devsynthctl.dealer import Dealer
from devsynthctl.knock import somebody_listens
from devsynthd.host.address import Address

SILENCE_LIMIT_S = 10.0
"""How long a peer that took the connection may take to speak: it may just be starting."""

INTERRUPTIBLE_S = 1.0
"""The longest single wait: a Ctrl-C that comes just before one is heeded after it."""

RECEIVE_HIGH_WATER = 1000
"""Bodies that are read ahead of a program that does not read: then the daemon slows down."""

OnIdle = Callable[[], None]
"""Called after each `INTERRUPTIBLE_S` of silence; what it raises ends the wait."""

_RETRY_S = 0.02
_FLUSH_S = 0.02
_BATCH = 64  # bodies that are read at once


class Disconnected(Exception):
    """The connection has ended; nothing more will come of it."""


class HungUp(Disconnected):
    """It is we who ended it, while the peer was still there."""


class Connection:
    """A DEALER socket for the life of one connection; it never reconnects by itself.

    Knows no messages. Any thread may use it at any time: the socket is touched under a lock that
    nobody holds while waiting. What is waited for are descriptors, which tell changes only; so who
    has used up a sign of something to be read passes it on, by a pipe, if anybody waits. Not to be
    used across a fork.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, on_idle: OnIdle | None
    ) -> None:
        self._on_idle = on_idle
        self._hung_up = self._is_woken = False
        self._flush_until: float | None = None
        self._lock = threading.Lock()
        self._waiting: list[None] = []  # who waits, or is about to; one too many costs time only
        self._posted: deque[bytes] = deque()
        self._woken_fd, self._wake_fd = os.pipe()
        # Not by `close`: somebody may be about to wait for it.
        weakref.finalize(self, _close_pipe, self._woken_fd, self._wake_fd).atexit = False
        self._dealer = Dealer(context, endpoint, receive_high_water=RECEIVE_HIGH_WATER)

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended: reading and sending find out."""
        return self._dealer.has_ended

    def wait_until_made(self, until: float) -> bool:
        """Return true once the peer has spoken ZeroMQ, false if it has not at *until* (monotonic).

        Raises:
            Disconnected: It hung up, or speaks something else.
        """
        while True:
            with self._lock:
                self._look()
                if self._dealer.has_ended:
                    raise Disconnected
                if self._dealer.is_made:
                    return True
                self._dealer.is_readable()  # its descriptor tells of more than bodies
                self._waiting.append(None)
            if not self._goes_on(until, self._wait(until)):
                return False

    def send(self, body: bytes, until: float | None) -> bool:
        """Hand *body* over for sending; return false if that was not possible before *until*.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        idle_at = time.monotonic() + INTERRUPTIBLE_S
        while True:
            with self._lock:
                is_sent = self._send(body)
            self._send_posted()
            if is_sent:
                return True
            now = time.monotonic()
            if until is not None and now >= until:
                return False
            if now >= idle_at:
                idle_at = now + INTERRUPTIBLE_S
                if self._on_idle:
                    self._on_idle()
            time.sleep(_RETRY_S)  # too much is under way already

    def post(self, body: bytes) -> None:
        """Send *body* if that is possible, now or when whoever uses the socket lets go of it.

        It never waits, and may be called at any time: by a signal's handler, by the garbage
        collector, and so also by a thread that is using the socket.
        """
        self._posted.append(body)
        self._send_posted()

    def receive(self, until: float | None) -> list[bytes]:
        """Return the bodies that are there, after a wait for the first one, in their order.

        None of them: none has come at *until* (monotonic; null: no end).

        Raises:
            Disconnected: The connection has ended and all that came before is read.
            HungUp: So it has, by `close`.
        """
        ready: list[int] = []
        while True:
            with self._lock:
                bodies, flush_until = self._receive(ready)
                if not bodies:
                    self._waiting.append(None)
            self._send_posted()
            if bodies:
                return bodies
            ready = self._wait(until if flush_until is None else flush_until)
            if flush_until is None and not self._goes_on(until, ready):
                return []

    def close(self) -> None:
        """Hang up; what was not sent yet is dropped, and what was not read. Idempotent."""
        with self._lock:
            if not self._dealer.is_closed:
                self._hung_up = not self._dealer.has_ended
                self._dealer.has_ended = True
                self._dealer.close()
                self._wake()

    # With the lock -------------------------------------------------------------------------

    def _receive(self, ready: list[int]) -> tuple[list[bytes], float | None]:
        """Return what is there; else, if the peer has hung up, until when more may come.

        *ready* are the descriptors that have just told of something.
        """
        self._heed_wake()
        if self._dealer.is_closed:
            raise HungUp if self._hung_up else Disconnected
        if self._dealer.monitor_fd in ready:
            self._dealer.read_news()
        if self._dealer.fd in ready:
            # One will have come. Whether it was the only one, the next call finds out.
            body = self._dealer.receive()
            bodies = [] if body is None else [body]
        else:
            bodies = self._dealer.receive_all(_BATCH)
        if bodies and self._waiting and self._dealer.is_readable():
            self._wake()
        if bodies or not self._dealer.has_ended:
            return bodies, None
        # The news of the end may overtake the last bodies by a moment.
        if self._flush_until is None:
            self._flush_until = time.monotonic() + _FLUSH_S
        elif time.monotonic() >= self._flush_until:
            raise Disconnected
        return bodies, self._flush_until

    def _send(self, body: bytes) -> bool:
        knew = self._dealer.has_ended
        if not self._dealer.is_closed:
            self._dealer.read_news()
        if self._dealer.has_ended:
            if not knew:
                self._wake()
            raise Disconnected
        has_left = self._dealer.send(body)
        if self._waiting and self._dealer.is_readable():
            self._wake()
        return has_left

    def _look(self) -> None:
        """Take in the news, and that somebody was woken."""
        self._heed_wake()
        if not self._dealer.is_closed:
            self._dealer.read_news()

    def _heed_wake(self) -> None:
        if self._is_woken:
            self._is_woken = False
            os.read(self._woken_fd, 1)

    def _wake(self) -> None:
        """Have whoever waits, or is about to, look again."""
        if not self._is_woken:
            self._is_woken = True
            os.write(self._wake_fd, b"!")

    # Without it ----------------------------------------------------------------------------

    def _send_posted(self) -> None:
        # Who holds the lock comes here after it; it may be ourselves, further down the stack.
        while self._posted and not self._lock.locked():
            with self._lock, contextlib.suppress(Disconnected, IndexError):
                while True:
                    self._send(self._posted.popleft())

    def _goes_on(self, until: float | None, ready: list[int]) -> bool:
        """Return whether there is time left, after a wait for what is *ready*."""
        return may_go_on(until, None if ready else self._on_idle)

    def _wait(self, until: float | None) -> list[int]:
        """Wait a while, at most to *until*; return the descriptors that tell of something."""
        try:
            poller = select.poll()  # one cannot be used twice at a time
            for fd in (self._dealer.fd, self._dealer.monitor_fd, self._woken_fd):
                poller.register(fd, select.POLLIN)
            return [fd for fd, _ in poller.poll(math.ceil(slice_s(until) * 1000))]
        finally:
            self._waiting.pop()


def _close_pipe(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def slice_s(until: float | None) -> float:
    """Return how many seconds a single wait may take that is to end at *until* (monotonic)."""
    if until is None:
        return INTERRUPTIBLE_S
    return min(max(0.0, until - time.monotonic()), INTERRUPTIBLE_S)


def may_go_on(until: float | None, on_idle: OnIdle | None) -> bool:
    """Return whether there is time left; then *on_idle* hears that nothing has happened."""
    if until is not None and time.monotonic() >= until:
        return False
    if on_idle:
        on_idle()
    return True


def connect(
    context: zmq.Context[zmq.Socket[bytes]],
    address: Address,
    until: float | None,
    start_command: str,
    on_idle: OnIdle | None = None,
) -> Connection:
    """Return a connection to the daemon at *address*, made by *until* (monotonic).

    *start_command* is what a person would start that daemon with, for the error. *on_idle* is
    called while the connection is waited for, and while anything on it is.

    Raises:
        DaemonUnreachable: Nobody listens there, and why.
        Forbidden: The socket is another user's.
        NoAnswer: Somebody does, but is silent.
    """
    limit = time.monotonic() + SILENCE_LIMIT_S
    limit = limit if until is None else min(limit, until)
    while True:
        if somebody_listens(address, start_command):
            connection = Connection(context, address.endpoint, on_idle)
            try:
                if connection.wait_until_made(limit):
                    return connection
            except Disconnected:
                pass  # it went away in between, or is none of ours: the next look tells
            except BaseException:
                connection.close()
                raise
            connection.close()
        if time.monotonic() + _RETRY_S >= limit:
            raise silent(address.path)
        time.sleep(_RETRY_S)
