"""The DEALER socket of one connection, and the news of its end. Nothing here waits."""

import select
import struct

import zmq

_NEVER_MS = 7 * 24 * 3600 * 1000
_NOW, _READABLE = int(zmq.NOBLOCK), int(zmq.POLLIN)  # plain numbers: an enum's operators are slow
_EVENT = struct.Struct("=HI")  # event, value
_MADE = int(zmq.EVENT_HANDSHAKE_SUCCEEDED)
_ENDS = int(
    zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CLOSED
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class Dealer:
    """A socket for the life of one connection; it never reconnects by itself.

    ``IMMEDIATE`` and a ``RECONNECT_IVL`` of -1 are not what they seem: with either of them libzmq
    drops what has come and is not read yet when the peer hangs up, such as a daemon's last word.
    Instead, the monitor tells the end, nothing is sent after it, and the next attempt to connect
    is a week away.

    libzmq reads *receive_high_water* bodies ahead, null: all. What it has not read when the peer
    hangs up is lost; and the peer notices a client that lets more pile up.

    Attributes:
        socket: To be polled.
        monitor: Its monitor, to be polled.
        fd: Becomes readable when something has happened to the socket.
        monitor_fd: Becomes readable when there is news.
        is_closed: It is closed on this side.
        is_made: The peer has spoken ZeroMQ.
        has_ended: The connection is known to have ended. The last bodies may still come, for a
            moment: the news may overtake them.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        *,
        receive_high_water: int | None,
    ) -> None:
        self.is_made = self.has_ended = self.is_closed = False
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.set(zmq.RECONNECT_IVL, _NEVER_MS)
        self.socket.set(zmq.RCVHWM, receive_high_water or 0)
        self.monitor = self.socket.get_monitor_socket(_MADE | _ENDS)
        self.monitor.linger = 0
        self.socket.connect(endpoint)
        self.fd, self.monitor_fd = int(self.socket.fileno()), int(self.monitor.fileno())
        self._news = select.poll()
        self._news.register(self.monitor_fd, select.POLLIN)
        self._take_in()  # libzmq signals only to a reader that has found nothing once

    def read_news(self) -> None:
        """Take in what the monitor tells, if anything."""
        if self._news.poll(0):  # that takes a third of the time that libzmq needs to say no
            self._take_in()

    def _take_in(self) -> None:
        # Until it is empty, since its descriptor tells changes.
        while int(self.monitor.get(zmq.EVENTS)) & _READABLE:
            event, _ = _EVENT.unpack(self.monitor.recv_multipart()[0])
            if event == _MADE:
                self.is_made = True
            else:
                self.has_ended = True

    def send(self, body: bytes) -> bool:
        """Hand *body* over for sending; return false if too much is under way already."""
        try:
            self.socket.send(body, _NOW)
        except zmq.Again:
            return False
        return True

    def receive(self) -> bytes | None:
        """Return the next body that has come, null if there is none."""
        try:
            return self.socket.recv(_NOW)
        except zmq.Again:
            return None

    def receive_all(self, most: int) -> list[bytes]:
        """Return the bodies that have come, but not more than *most*."""
        bodies: list[bytes] = []
        while len(bodies) < most:
            # Mostly there is none, or one. To look costs half of what an exception does.
            is_worth_it = len(bodies) > 1 or self.is_readable()
            if not is_worth_it or (body := self.receive()) is None:
                break
            bodies.append(body)
        return bodies

    def is_readable(self) -> bool:
        """Return whether a body has come: sending may have used up the sign of it."""
        return bool(int(self.socket.get(zmq.EVENTS)) & _READABLE)

    def close(self) -> None:
        """Hang up; what was not sent or not read is dropped. Idempotent."""
        if not self.is_closed:
            self.is_closed = True
            self.socket.disable_monitor()
            self.monitor.close()
            self.socket.close()
