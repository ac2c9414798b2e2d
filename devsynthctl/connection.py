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

from devsynthctl.attempts import foreign, silent
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

RETRY_S = 0.02
"""How soon it is looked again for a daemon that did not take a connection."""

_IN, _OUT = select.POLLIN, select.POLLOUT
_IN_AND_OUT = _IN | _OUT


class Disconnected(Exception):
    """The connection has ended; nothing more will come of it."""


class HungUp(Disconnected):
    """It is we who ended it, while the peer was still there."""


class Foreign(Disconnected):
    """The peer speaks something else."""


class Connection:
    """A connection for the life of one socket; it never reconnects by itself.

    Knows no messages. Any thread may send and close at any time; to receive is for one at a time.
    What is not received stays with the peer, which slows down. Not to be used across a fork.

    Args:
        wire: A stream socket that is connected and never waits. The connection closes it.
        on_idle: Called while anything is waited for.

    Attributes:
        ended: Whether the connection is known to have ended: sending and receiving find out.
        holds_bodies: Some have been taken from the socket, and whoever receives them has not said
            by setting it to false that they are where they belong.
    """

    def __init__(self, wire: socket.socket, on_idle: OnIdle | None) -> None:
        self._wire, self._fd, self._on_idle = wire, wire.fileno(), on_idle
        self.ended = self._hung_up = self._is_closed = self.holds_bodies = False
        self._decoder = Decoder()
        # For what is below; nobody holds it while waiting. A signal's handler, or the garbage
        # collector, may come to it in a thread that has it.
        self._lock = threading.RLock()
        self._readers = 0  # more than one: handlers of signals that have asked something
        self._is_writing = False
        self._begun = 0  # frames, of which the last is
        self._unsent = memoryview(OPENING)  # or the rest of it
        self._posted: deque[bytes] = deque()
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
                self.holds_bodies = False  # nothing has been asked
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
            poll.register(self._fd, _OUT)  # which another thread may close meanwhile
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
            self._readers += 1
        try:
            while True:
                has_moved = self._wait(until)
                if has_moved and (bodies := self._read()):
                    return bodies
                if not may_go_on(until, None if has_moved else self._on_idle):
                    return []
        except Disconnected:
            if self._hung_up:
                raise HungUp from None
            raise
        finally:
            with self._lock:
                self._readers -= 1
                self._close_wire()

    def close(self) -> None:
        """Hang up; what was not sent yet is dropped, and what was not read. Idempotent."""
        with self._lock:
            if self._is_closed:
                return
            self._is_closed = True
            self._hung_up = not self.ended
            self.ended = True
            self._shut_down()
            self._close_wire()

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
        if self._is_writing:
            return  # further up the stack, which goes on
        self._is_writing = True
        try:
            while self._unsent or self._posted:
                if not self._unsent:
                    self._begin(self._posted.popleft())
                self._unsent = self._unsent[self._wire.send(self._unsent) :]
        except BlockingIOError:
            pass
        except OSError:
            self.ended = True
            raise Disconnected from None
        except BaseException:
            # A signal's handler has raised: nobody knows how much has left.
            self.ended = True
            self._shut_down()
            raise
        finally:
            self._is_writing = False

    def _shut_down(self) -> None:
        """Hang up, which wakes who reads."""
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)

    def _close_wire(self) -> None:
        """Close the socket, unless somebody reads, who closes it: its number would be free."""
        if self._is_closed and not self._readers:
            self._wire.close()

    # Without it ----------------------------------------------------------------------------

    def _write_posted(self) -> None:
        # Who holds the lock comes here after it; it may be ourselves, further down the stack.
        while self._posted and not (self._unsent or self.ended or self._is_writing):
            if not self._lock.acquire(blocking=False):
                return
            try:
                with contextlib.suppress(Disconnected):
                    self._write()
            finally:
                self._lock.release()

    def _wait(self, until: float | None) -> bool:
        """Wait a while, at most to *until*, and send what waits; return whether anything moved."""
        poll = select.poll()  # a handler of a signal, which asks something, needs one of its own
        poll.register(self._fd, _IN_AND_OUT if self._unsent or self._posted else _IN)
        ready = poll.poll(_slice_ms(until))
        if ready and ready[0][1] & _OUT:
            with self._lock, contextlib.suppress(Disconnected):
                self._write()
        return bool(ready)

    def _read(self) -> list[bytes]:
        """Return the bodies that have come.

        Raises:
            Disconnected: The peer has hung up, or speaks something else.
        """
        self.holds_bodies, end = True, Disconnected
        try:
            if data := b"" if self._is_over else self._wire.recv(READ_BYTES):
                bodies = self._decoder.feed(data)
                self.holds_bodies = bool(bodies)
                return bodies
        except BlockingIOError:
            self.holds_bodies = False
            return []
        except OSError:
            pass
        except NotZmtp:
            end = Foreign
        self.ended, self._is_over, self.holds_bodies = True, True, False
        raise end


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
        DaemonUnreachable: Nobody listens there, and why; or somebody else does.
        Forbidden: The socket is another user's.
        NoAnswer: Somebody does, but is silent.
    """
    idle_at = time.monotonic() + INTERRUPTIBLE_S
    limit = time.monotonic() + SILENCE_LIMIT_S
    limit = limit if until is None else min(limit, until)
    while True:
        if wire := knock(address, start_command):
            connection = Connection(wire, on_idle)
            try:
                if connection.wait_until_made(limit):
                    return connection
            except Foreign:
                connection.close()
                raise foreign(address.path) from None
            except Disconnected:
                pass  # it went away in between: the next look tells
            except BaseException:
                connection.close()
                raise
            connection.close()
        now = time.monotonic()
        if now + RETRY_S >= limit:
            raise silent(address.path)
        if now >= idle_at and on_idle:
            idle_at = now + INTERRUPTIBLE_S
            on_idle()
        time.sleep(RETRY_S)
