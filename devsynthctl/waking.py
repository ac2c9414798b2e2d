"""One socket, several threads: one at a time, and who waits on it gives way to who has to act."""

import contextlib
import os
import threading
from collections.abc import Iterator


class Waking:
    """A lock for a socket that one thread waits on while others have something to send.

    A thread that waits holds it with `waiting`, and wakes when *fd* becomes readable. A thread
    that acts holds it with `acting`: it wakes the one that waits, which must then let go. Neither
    may be entered again by a thread that is inside.
    """

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._is_held = self._is_woken = False
        self._acting = 0  # threads that want to act
        self._read_fd, self._write_fd = os.pipe()
        self._is_closed = False

    @property
    def fd(self) -> int:
        """Readable while somebody wants to act; polled by the thread that waits."""
        return self._read_fd

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        """Hold it, once nobody else does or wants to act."""
        with self._free:
            while self._is_held or self._acting:
                self._free.wait()
            self._is_held = True
        try:
            yield
        finally:
            self._let_go()

    @contextlib.contextmanager
    def acting(self) -> Iterator[None]:
        """Hold it as soon as whoever holds it lets go."""
        with self._free:
            self._acting += 1
            try:
                if self._is_held and not self._is_woken and not self._is_closed:
                    self._is_woken = True
                    os.write(self._write_fd, b"!")
                while self._is_held:
                    self._free.wait()
                self._is_held = True
            finally:
                self._acting -= 1
                self._free.notify_all()  # if it was interrupted, nobody else would tell
        try:
            yield
        finally:
            self._let_go()

    def close(self) -> None:
        """Give the descriptor back, from inside `acting`: nobody may wait after that."""
        if not self._is_closed:
            self._is_closed = True
            os.close(self._read_fd)
            os.close(self._write_fd)

    def _let_go(self) -> None:
        with self._free:
            if self._is_woken and not self._is_closed:
                os.read(self._read_fd, 1)
            self._is_woken = False
            self._is_held = False
            self._free.notify_all()
