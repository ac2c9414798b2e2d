"""One connection to a daemon: bodies out, bodies in, and the news that it has ended."""

import contextlib
import math
import select
import socket
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable

from devsynthctl.attempts import silent
from devsynthctl.knock import knock
from devsynthctl.zmtp import OPENING, Decoder, NotZmtp, framed
from devsynthd.host.address import Address

SILENCE_LIMIT_S = 10.0
"""How long a peer that took the connection may take to speak: it may just be starting."""

INTERRUPTIBLE_S = 1.0
"""The longest single wait: a Ctrl-C that comes just before one is heeded after it."""

READ_BYTES = 65_536

OnIdle = Callable[[], None]
"""Called after each `INTERRUPTIBLE_S` of silence; what it raises ends the wait."""

_RETRY_S = 0.02
_IN, _OUT = select.POLLIN, select.POLLOUT
_IN_AND_OUT = _IN | _OUT


class Disconnected(Exception):
    """The connection has ended; nothing more will come of it."""


class HungUp(Disconnected):
    """It is we who ended it, while the peer was still there."""


class Connection:
    """A connection for the life of one socket; it never reconnects by itself.

    Knows no messages. Any thread may send and close at any time; to receive is for one at a time.
    What is not received stays with the peer, which slows down. Not to be used across a fork.

    Args:
        wire: A stream socket that is connected and never waits. The connection closes it.
        on_idle: Called while anything is waited for.

    Attributes:
        ended: Whether the connection is known to have ended: sending and receiving find out.
    """

    def __init__(self, wire: socket.socket, on_idle: OnIdle | None) -> None:
        self._wire, self._fd, self._on_idle = wire, wire.fileno(), on_idle
        self.ended = self._hung_up = self._is_closed = self._is_read = False
        self._decoder = Decoder()
        self._lock = threading.Lock()  # for what is below; nobody holds it while waiting
        self._begun = 0  # frames, of which the last is
        self._unsent = memoryview(OPENING)  # or the rest of it
        self._posted: deque[bytes] = deque()
        self._poll, self._watched = select.poll(), 0  # and what for
        self._is_over = False  # nothing more is to be read
        weakref.finalize(self, wire.close)  # it would be complained of that it was left open

    def wait_until_made(self, until: float) -> bool:
        """Return true once the peer has spoken ZeroMQ, false if it has not at *until* (monotonic).

        Raises:
            Disconnected: It hung up, or speaks something else.
        """
        while True:
            if has_moved := self._wait(until):
                self._read()
            if self._decoder.is_made:
                return True
            if not may_go_on(until, None if has_moved else self._on_idle):
                return False

    def send(self, body: bytes, until: float | None) -> bool:
        """Send *body*; return false if nothing of it could leave before *until* (monotonic).

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        frame, number = framed(body), 0
        while True:
            with self._lock:
                self._write()
                if not number and not self._unsent:
                    number = self._begin(frame)
                    self._write()
                has_left = number and (number != self._begun or not self._unsent)
            self._write_posted()
            if has_left:
                return True
            poll = select.poll()
            poll.register(self._fd, select.POLLOUT)  # which another thread may close meanwhile
            if not may_go_on(until, None if poll.poll(_slice_ms(until)) else self._on_idle):
                return number > 0  # the rest leaves before all else

    def post(self, body: bytes) -> None:
        """Send *body* if that is possible, now or when whoever uses the socket lets go of it.

        It never waits, and may be called at any time: by a signal's handler, by the garbage
        collector, and so also by a thread that is using the socket.
        """
        self._posted.append(framed(body))
        self._write_posted()

    def receive(self, until: float | None) -> list[bytes]:
        """Return the bodies that are there, after a wait for the first one, in their order.

        None of them: none has come at *until* (monotonic; null: no end).

        Raises:
            Disconnected: The connection has ended and all that came before is read.
            HungUp: So it has, by `close`.
        """
        with self._lock:
            if self._is_closed:
                raise HungUp if self._hung_up else Disconnected
            self._is_read = True
        try:
            while True:
                has_moved = self._wait(until)
                if has_moved and (bodies := self._read()):
                    return bodies
                if not may_go_on(until, None if has_moved else self._on_idle):
                    return []
        except Disconnected:
            raise HungUp if self._hung_up else Disconnected from None
        finally:
            with self._lock:
                self._is_read = False
                if self._is_closed:
                    self._wire.close()

    def close(self) -> None:
        """Hang up; what was not sent yet is dropped, and what was not read. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._hung_up = not self.ended
            self.ended = True
            with contextlib.suppress(OSError):
                self._wire.shutdown(socket.SHUT_RDWR)  # which wakes who reads
            if not self._is_read:  # else its number could be another's before he is awake
                self._wire.close()

    # With the lock -------------------------------------------------------------------------

    def _begin(self, frame: bytes) -> int:
        """Have *frame* be the next to leave; return its number."""
        self._unsent = memoryview(frame)
        self._begun += 1
        return self._begun

    def _write(self) -> None:
        """Send what waits, as far as it goes.

        Raises:
            Disconnected: The connection has ended.
        """
        if self.ended:
            raise Disconnected
        while self._unsent or self._posted:
            if not self._unsent:
                self._begin(self._posted.popleft())
            try:
                sent = self._wire.send(self._unsent)
            except BlockingIOError:
                return
            except OSError:
                self.ended = True
                raise Disconnected from None
            self._unsent = self._unsent[sent:]

    # Without it ----------------------------------------------------------------------------

    def _write_posted(self) -> None:
        # Who holds the lock comes here after it; it may be ourselves, further down the stack.
        while self._posted and not (self._unsent or self.ended) and self._lock.acquire(False):  # noqa: FBT003
            try:
                with contextlib.suppress(Disconnected):
                    self._write()
            finally:
                self._lock.release()

    def _wait(self, until: float | None) -> bool:
        """Wait a while, at most to *until*, and send what waits; return whether anything moved."""
        watched = _IN_AND_OUT if self._unsent or self._posted else _IN
        if watched != self._watched:
            self._watched = watched
            self._poll.register(self._wire, watched)
        ready = self._poll.poll(_slice_ms(until))
        if ready and ready[0][1] & _OUT:
            with self._lock, contextlib.suppress(Disconnected):
                self._write()
        return bool(ready)

    def _read(self) -> list[bytes]:
        """Return the bodies that have come.

        Raises:
            Disconnected: The peer has hung up, or speaks something else.
        """
        try:
            data = b"" if self._is_over else self._wire.recv(READ_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            data = b""
        try:
            if data:
                return self._decoder.feed(data)
        except NotZmtp:
            pass
        self.ended = self._is_over = True
        raise Disconnected


def slice_s(until: float | None) -> float:
    """Return how many seconds a single wait may take that is to end at *until* (monotonic)."""
    if until is None:
        return INTERRUPTIBLE_S
    return min(max(0.0, until - time.monotonic()), INTERRUPTIBLE_S)


def _slice_ms(until: float | None) -> int:
    return math.ceil(slice_s(until) * 1000)


def may_go_on(until: float | None, on_idle: OnIdle | None) -> bool:
    """Return whether there is time left; then *on_idle* hears that nothing has happened."""
    if until is not None and time.monotonic() >= until:
        return False
    if on_idle:
        on_idle()
    return True


def connect(
    address: Address, until: float | None, start_command: str, on_idle: OnIdle | None = None
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
        if wire := knock(address, start_command):
            connection = Connection(wire, on_idle)
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
