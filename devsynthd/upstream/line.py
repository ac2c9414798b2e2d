"""A hold on the socket of one exchange, by which another thread can end it at once."""

import contextlib
import socket
import threading


class Line:
    """The line of one exchange: one thread talks on it, any thread may hang up.

    It keeps a duplicate of the descriptor, so that hanging up neither touches the objects of the
    thread that reads (closing those waits for the read, and TLS objects are not thread-safe) nor
    hits a stranger's connection that got the same number.
    """

    def __init__(self, *, send_timeout_s: float | None = None) -> None:
        self.send_timeout_s = send_timeout_s
        self.wire: socket.socket | None = None  # what the exchange's thread reads from
        self.reused = False  # the connection has served another exchange before
        self.sent_again = False  # the request was, so no such connection will do
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._hung_up = False

    @property
    def hung_up(self) -> bool:
        """Whether somebody hung up."""
        return self._hung_up

    def take(self, sock: socket.socket) -> None:
        """Hold *sock*, connected or about to be; end it at once if somebody hung up already."""
        duplicate = socket.fromfd(sock.fileno(), sock.family, sock.type)
        with self._lock:
            self._drop()
            self._socket = duplicate
            if self._hung_up:
                self._shut_down()

    def hang_up(self) -> None:
        """End the exchange: whoever reads or connects is woken within a millisecond."""
        with self._lock:
            self._hung_up = True
            self._shut_down()

    def let_go(self) -> bool:
        """Forget the socket; return whether it is still fit for another exchange."""
        with self._lock:
            self._drop()
            return not self._hung_up

    def set_timeout(self, seconds: float) -> None:
        """Let the next reads of the exchange's thread wait *seconds* (from that thread)."""
        # Closed already: the whole body has come, and reading it waits for nothing.
        if self.wire is not None and self.wire.fileno() != -1:
            self.wire.settimeout(max(seconds, 0.001))

    def _shut_down(self) -> None:
        if self._socket is not None:
            with contextlib.suppress(OSError):  # not connected yet, or ended by the other side
                self._socket.shutdown(socket.SHUT_RDWR)

    def _drop(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
