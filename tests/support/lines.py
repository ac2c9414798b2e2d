"""The lines that a process writes, to be looked at and waited for."""

import threading
from contextlib import suppress
from typing import IO

WAIT_S = 10.0


class Lines:
    """Reads *stream* to its end, in a thread, as it comes."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._lines: list[str] = []
        self._ended = False
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._read, name="lines", daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return all that has come so far."""
        with self._news:
            return "".join(self._lines)

    def since(self, number: int) -> list[str]:
        """Return the lines that have come, from that *number* (from 0) on."""
        with self._news:
            return self._lines[number:]

    def wait_for(self, part: str) -> str:
        """Return the first line with *part* in it, once it has come."""
        with self._news:
            self._news.wait_for(lambda: self._ended or bool(self._with(part)), WAIT_S)
            found = self._with(part)
        assert found, f"no line has {part!r}:\n{self.text()}"
        return found[0]

    def wait_end(self) -> str:
        """Return all there is, once the other side has closed the stream."""
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), f"it goes on:\n{self.text()}"
        self._stream.close()
        return self.text()

    def _with(self, part: str) -> list[str]:
        return [line for line in self._lines if part in line]

    def _read(self) -> None:
        with suppress(ValueError):  # closed by whoever has it, who wants no more of it
            for line in self._stream:
                with self._news:
                    self._lines.append(line)
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
