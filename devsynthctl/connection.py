"""One connection to a daemon: bytes out, bytes in, and the news that it has ended."""

import math
import time
from collections.abc import Callable

import zmq

from devsynthctl.dealer import Dealer
from devsynthctl.errors import NoAnswer
from devsynthctl.knock import somebody_listens
from devsynthctl.waking import Waking
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
_FLUSH_MS = 20
_BATCH = 64  # bodies that are read at once


class Disconnected(Exception):
    """The connection has ended; nothing more will come of it."""


class HungUp(Disconnected):
    """It is we who ended it, while the peer was still there."""


class Connection:
    """A DEALER socket for the life of one connection; it never reconnects by itself.

    Knows no messages. Any thread may send and close; one at a time may receive. Not to be used
    across a fork.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, on_idle: OnIdle | None
    ) -> None:
        self._on_idle = on_idle
        self._ended = self._hung_up = False
        self._turn = Waking()
        self._dealer = Dealer(context, endpoint, receive_high_water=RECEIVE_HIGH_WATER)
        self._poller = zmq.Poller()
        self._poller.register(self._dealer.socket, zmq.POLLIN)
        self._poller.register(self._dealer.monitor, zmq.POLLIN)
        self._poller.register(self._turn.fd, zmq.POLLIN)

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended: reading and sending find out."""
        return self._ended

    def wait_until_made(self, until: float) -> bool:
        """Return true once the peer has spoken ZeroMQ, false if it has not at *until* (monotonic).

        Raises:
            Disconnected: It hung up, or speaks something else.
        """
        while True:
            with self._turn.waiting():
                if self._ended:
                    raise Disconnected
                if self._dealer.is_made:
                    return True
                is_idle = not self._wait(until)
            if is_idle and not may_go_on(until, self._on_idle):
                return False

    def send(self, body: bytes, until: float | None) -> bool:
        """Hand *body* over for sending; return false if that was not possible before *until*.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        with self._turn.acting():
            if self._send(body):
                return True
        while True:  # too much is under way already
            with self._turn.waiting():
                if self._send(body):
                    return True
                self._poller.modify(self._dealer.socket, zmq.POLLOUT)
                try:
                    is_idle = not self._wait(until)
                finally:
                    self._poller.modify(self._dealer.socket, zmq.POLLIN)
            if is_idle and not may_go_on(until, self._on_idle):
                return False

    def receive(self, until: float | None) -> list[bytes]:
        """Return the bodies that are there, after a wait for the first one, in their order.

        None of them: none has come at *until* (monotonic; null: no end).

        Raises:
            Disconnected: The connection has ended and all that came before is read.
            HungUp: So it has, by `close`.
        """
        while True:
            with self._turn.waiting():
                if self._dealer.is_closed:
                    raise HungUp if self._hung_up else Disconnected
                if bodies := self._bodies():
                    return bodies
                if self._ended:
                    raise Disconnected
                is_idle = not self._wait(until)
            if is_idle and not may_go_on(until, self._on_idle):
                return []

    def close(self) -> None:
        """Hang up; what was not sent yet is dropped, and what was not read. Idempotent."""
        with self._turn.acting():
            if self._dealer.is_closed:
                return
            self._hung_up = not self._ended
            self._ended = True
            self._dealer.close()
            self._turn.close()

    def _bodies(self) -> list[bytes]:
        bodies: list[bytes] = []
        while len(bodies) < _BATCH and (body := self._dealer.receive()) is not None:
            bodies.append(body)
        return bodies

    def _send(self, body: bytes) -> bool:
        self._read_news()
        if self._ended:
            raise Disconnected
        return self._dealer.send(body)

    def _wait(self, until: float | None) -> bool:
        """Wait a while, at most to *until*; return false if nothing has happened."""
        ready = dict(self._poller.poll(math.ceil(slice_s(until) * 1000)))
        self._read_news()
        return bool(ready)

    def _read_news(self) -> None:
        if not self._ended:
            self._dealer.read_news()
            if self._dealer.has_ended:
                # The news of the end may overtake the last bodies by a moment.
                self._dealer.socket.poll(_FLUSH_MS)
                self._ended = True


def slice_s(until: float | None) -> float:
    """Return how many seconds a single wait may take that is to end at *until* (monotonic)."""
    if until is None:
        return INTERRUPTIBLE_S
    return min(max(0.0, until - time.monotonic()), INTERRUPTIBLE_S)


def may_go_on(until: float | None, on_idle: OnIdle | None) -> bool:
    """Return whether a wait in which nothing has happened may go on; *on_idle* hears of it."""
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
            raise NoAnswer(
                f"whoever listens at {address.path} does not answer",
                hint="is the daemon stuck or still starting? Its log tells; "
                "`--timeout` says how long to wait",
            )
        time.sleep(_RETRY_S)
