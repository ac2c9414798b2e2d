"""A hold on the socket of one exchange, by which another thread can end it at once."""

import contextlib
import socket
import threading


class Hold:
    """A duplicate of the descriptor of a connection, made once for all of its exchanges.

    By it the connection can be ended without touching the objects of a thread that reads (closing
    those waits for the read, and TLS objects are not thread-safe), and without hitting a
    stranger's that got the same number. It is closed when all have left that had kept it.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = socket.fromfd(sock.fileno(), sock.family, sock.type)
        self._lock = threading.Lock()
        self._keepers = 0

    def keep(self) -> None:
        """Have it stay open until ``leave``."""
        with self._lock:
            self._keepers += 1

    def leave(self) -> None:
        """Let go of it."""
        with self._lock:
            self._keepers -= 1
            if self._keepers == 0:
                self._socket.close()

    def shut_down(self) -> None:
        """End the connection: whoever reads from it or connects it is woken."""
        with self._lock, contextlib.suppress(OSError):  # not connected yet, or ended already
            self._socket.shutdown(socket.SHUT_RDWR)


class Line:
    """The line of one exchange: whoever talks on it, any thread may hang up."""

    def __init__(self, *, send_timeout_s: float | None = None) -> None:
        self.send_timeout_s = send_timeout_s
        self.wire: socket.socket | None = None  # what the exchange reads from
        self.reused = False  # the connection has served another exchange before
        self.sent_again = False  # the request was, so no such connection will do
        self._lock = threading.Lock()
        self._hold: Hold | None = None
        self._hung_up = False

    @property
    def hung_up(self) -> bool:
        """Whether somebody hung up."""
        return self._hung_up

    @property
    def hold(self) -> Hold | None:
        """The connection that it has taken."""
        return self._hold

    def take(self, hold: Hold) -> None:
        """Take the connection of *hold*; end it at once if somebody hung up already."""
        hold.keep()
        with self._lock:
            self._drop()
            self._hold = hold
            if self._hung_up:
                hold.shut_down()

    def hang_up(self) -> None:
        """End the exchange: whoever reads or connects is woken within a millisecond."""
        with self._lock:
            self._hung_up = True
            if self._hold is not None:
                self._hold.shut_down()

    def let_go(self) -> bool:
        """Forget the connection; return whether it is still fit for another exchange."""
        with self._lock:
            self._drop()
            self.wire = None
            return not self._hung_up

    def set_timeout(self, seconds: float) -> None:
        """Let the next reads of the exchange's thread wait *seconds* (from that thread)."""
        # Without one the whole body has come, and reading it waits for nothing; the connection may
        # be closed by now, or serve another exchange.
        if self.wire is not None:
            self.wire.settimeout(max(seconds, 0.001))

    def _drop(self) -> None:
        if self._hold is not None:
            self._hold.leave()
            self._hold = None
