"""A bell that wakes a thread which waits for a descriptor."""

import contextlib
import os
import select

_RINGS = 4096


class Bell:
    """Any thread may ring it; one waits."""

    def __init__(self) -> None:
        self._heard_fd, self._rung_fd = os.pipe()
        os.set_blocking(self._heard_fd, False)
        os.set_blocking(self._rung_fd, False)

    def ring(self) -> None:
        """Wake whoever waits, or who will wait next."""
        with contextlib.suppress(BlockingIOError):  # it has been rung often enough
            os.write(self._rung_fd, b"!")

    def wait(self, fd: int | None, timeout_s: float | None) -> bool:
        """Wait until *fd* can be read from, it rings, or *timeout_s* is over; null: no end.

        Return whether *fd* can be read from.
        """
        # Not poll: on macOS it knows no terminals, and epoll no files.
        watched = [self._heard_fd] if fd is None else [self._heard_fd, fd]
        readable, _, _ = select.select(watched, (), (), timeout_s)
        if self._heard_fd in readable:
            os.read(self._heard_fd, _RINGS)
        return fd in readable
