"""The lines that are still to be written: several threads put them, one takes them."""

import threading
from collections.abc import Iterable


class Outbox:
    """Holds lines in order, and whoever puts them back when nobody takes them."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._lines: list[bytes] = []
        self._size = 0
        self._is_closed = False
        self._fault: BaseException | None = None

    def put(self, line: bytes, max_bytes: int) -> None:
        """Add *line*, without its end, once there are at most *max_bytes* of others."""
        with self._news:
            while self._size > max_bytes:
                self._news.wait()
            self._lines.append(line)
            self._size += len(line)
            self._news.notify_all()

    def take(self, timeout_s: float) -> bytes | None:
        """Return all lines, each with its end, as soon as there is one; null: no more will come.

        Nothing, if none has come in *timeout_s*.

        Raises:
            BaseException: What was given to `fail`.
        """
        with self._news:
            if not self._lines and not self._is_closed:
                self._news.wait(timeout_s)
            if self._fault:
                raise self._fault
            if not self._lines:
                return None if self._is_closed else b""
            data = _joined(self._lines)
            self._lines.clear()
            self._size = 0
            self._news.notify_all()
            return data

    def close(self) -> None:
        """Tell that no more lines will come."""
        with self._news:
            self._is_closed = True
            self._news.notify_all()

    def fail(self, fault: BaseException) -> None:
        """Have *fault* raised where lines are taken."""
        with self._news:
            self._fault = fault
            self._is_closed = True
            self._news.notify_all()


def _joined(lines: Iterable[bytes]) -> bytes:
    # What JSON has between its parts may be a newline; what it has in a text is not.
    return b"".join([line.replace(b"\n", b" ") + b"\n" for line in lines])
