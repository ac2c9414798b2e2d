"""One connection to a daemon: bytes out, bytes in, and the news that it has ended."""

import errno
import math
import os
import socket
import struct
import time
from collections.abc import Callable

import zmq

from devsynthctl.errors import DaemonUnreachable, NoAnswer
from devsynthd.host.address import Address
from devsynthd.wire.errors import DevsynthError, Forbidden

SILENCE_LIMIT_S = 10.0
"""How long a peer that took the connection may take to speak: it may just be starting."""

INTERRUPTIBLE_S = 1.0
"""The longest single wait: a Ctrl-C that comes just before one is heeded after it."""

OnIdle = Callable[[], None]
"""Called after each `INTERRUPTIBLE_S` of silence; what it raises ends the wait."""

_RETRY_S = 0.02
_FLUSH_MS = 20
_RECEIVE_HWM = 1000
_NEVER_MS = 7 * 24 * 3600 * 1000

_READABLE = int(zmq.POLLIN)  # a plain number: an enum's operators are slow
_EVENT = struct.Struct("=HI")  # event, value
_MADE = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_ENDS = int(
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Disconnected(Exception):
    """The connection has ended; nothing more will come of it."""


class HungUp(Disconnected):
    """It is we who ended it, while the peer was still there."""


class Connection:
    """A DEALER socket for the life of one connection; it never reconnects by itself.

    Knows no messages. To be used by one thread at a time, and not across a fork.

    ``IMMEDIATE`` and a ``RECONNECT_IVL`` of -1 are not what they seem: with either of them libzmq
    drops what has come and is not read yet when the peer hangs up, such as a daemon's last word.
    Instead, nothing is sent once the monitor has told the end, and no second connection is made.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, on_idle: OnIdle | None
    ) -> None:
        self._on_idle = on_idle
        self._made = self._ended = self._hung_up = False
        self._socket = context.socket(zmq.DEALER)
        self._socket.linger = 0
        self._socket.set(zmq.RECONNECT_IVL, _NEVER_MS)
        self._socket.set(zmq.RCVHWM, _RECEIVE_HWM)
        self._monitor = self._socket.get_monitor_socket(_MADE | _ENDS)
        self._monitor.linger = 0
        self._poller = zmq.Poller()
        self._poller.register(self._socket, zmq.POLLIN)
        self._poller.register(self._monitor, zmq.POLLIN)
        self._socket.connect(endpoint)

    @property
    def ended(self) -> bool:
        """Whether the connection is known to have ended: reading and sending find out."""
        return self._ended

    def wait_until_made(self, until: float) -> bool:
        """Return true once the peer has spoken ZeroMQ, false if it has not at *until* (monotonic).

        Raises:
            Disconnected: It hung up, or speaks something else.
        """
        while not (self._ended or self._made):
            if not self._wait(until):
                return False
        if self._ended:
            raise Disconnected
        return True

    def send(self, body: bytes, until: float | None) -> bool:
        """Hand *body* over for sending; return false if that was not possible before *until*.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        while True:
            if self._has_ended():
                raise Disconnected
            try:
                self._socket.send(body, zmq.NOBLOCK)
            except zmq.Again:
                pass  # too much is under way already
            else:
                return True
            self._poller.modify(self._socket, zmq.POLLOUT)
            try:
                in_time = self._wait(until)
            finally:
                self._poller.modify(self._socket, zmq.POLLIN)
            if not in_time:
                return False

    def receive(self, until: float | None) -> bytes | None:
        """Return the next body, or null if none has come at *until* (monotonic; null: no end).

        Raises:
            Disconnected: The connection has ended and all that came before is read.
            HungUp: So it has, by `close`.
        """
        while True:
            if self._socket.closed:
                raise HungUp if self._hung_up else Disconnected
            try:
                return self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                if self._ended:
                    raise Disconnected from None
            if not self._wait(until):
                return None

    def close(self) -> None:
        """Hang up; what was not sent yet is dropped, and what was not read."""
        self._hung_up = not self._ended
        self._ended = True
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()

    def _wait(self, until: float | None) -> bool:
        """Wait for something to happen; return false if nothing has at *until*."""
        while True:
            left_s = math.inf if until is None else max(0.0, until - time.monotonic())
            ready = dict(self._poller.poll(math.ceil(min(left_s, INTERRUPTIBLE_S) * 1000)))
            if self._monitor in ready:
                self._read_news()
            if ready or left_s <= INTERRUPTIBLE_S:
                return bool(ready)
            if self._on_idle:
                self._on_idle()

    def _has_ended(self) -> bool:
        """Look whether the connection has ended by now."""
        while not self._ended and int(self._monitor.get(zmq.EVENTS)) & _READABLE:
            self._read_news()
        return self._ended

    def _read_news(self) -> None:
        event, _ = _EVENT.unpack(self._monitor.recv_multipart()[0])
        if event == _MADE:
            self._made = True
        else:
            # The news of the end may overtake the last bodies by a moment.
            self._socket.poll(_FLUSH_MS)
            self._ended = True


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
        if _somebody_listens(address, start_command):
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


def _somebody_listens(address: Address, start_command: str) -> bool:
    """Knock at the socket without ZeroMQ, which would wait for ever where nobody is.

    Return false if the door is there but too many others wait at it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            knock.connect(os.fspath(address.path))
        except BlockingIOError:
            return False
        except OSError as exc:
            raise _unreachable(address, exc, start_command) from exc
    return True


def _unreachable(address: Address, exc: OSError, start_command: str) -> DevsynthError:
    start = f"start the daemon: {start_command} &"
    match exc.errno:
        case errno.ENOENT:
            reason, hint = f"there is no socket at {address.path}", start
        case errno.ECONNREFUSED if address.path.is_socket():
            reason, hint = f"the daemon that listened at {address.path} is gone", start
        case errno.ECONNREFUSED | errno.ENOTSOCK | errno.ENOTDIR | errno.EPROTOTYPE:
            reason = f"{address.path} is not a socket that can be connected to"
            hint = "check --socket and DEVSYNTH_SOCKET"
        case errno.EACCES | errno.EPERM:
            return Forbidden(
                f"{address.path} belongs to another user",
                hint="each user runs a daemon of their own; check --socket and DEVSYNTH_SOCKET",
            )
        case _:
            reason = f"{address.path}: {exc.strerror or exc}"
            hint = "check --socket and DEVSYNTH_SOCKET"
    return DaemonUnreachable(f"devsynthd is not reachable: {reason}", hint=hint)
