"""Bytes cut anywhere, into lines. Pure."""

from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_AROUND = b" \t\r"
_UNCOUNTED_BYTES = len(_BOM) + 1  # the mark, and the CR before the end of a line


@dataclass(frozen=True)
class Line:
    """The line *number*, counted from 1; its *text* is null if it was too long to be kept."""

    number: int
    text: bytes | None


class Cutter:
    """Cuts bytes into lines of at most *max_bytes*; of a longer one nothing is kept.

    Blank lines count, but are left out; so are the UTF-8 mark before a line, and what white space
    is around it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._number = 0
        self._pieces: list[bytes] = []  # of the line whose end has not come yet
        self._size = 0

    def feed(self, data: bytes) -> list[Line]:
        """Return the lines that *data* completes."""
        *ends, rest = data.split(b"\n")
        lines = [line for end in ends if (line := self._complete(end))]
        self._grow(rest)
        return lines

    def end(self) -> list[Line]:
        """Return the last line, if it did not end."""
        line = self._complete(b"")
        return [line] if line else []

    def _grow(self, piece: bytes) -> None:
        self._size += len(piece)
        if self._size > self._max_bytes + _UNCOUNTED_BYTES:
            self._pieces.clear()
        elif piece:
            self._pieces.append(piece)

    def _complete(self, piece: bytes) -> Line | None:
        self._grow(piece)
        is_kept = self._size <= self._max_bytes + _UNCOUNTED_BYTES
        text = b"".join(self._pieces).removeprefix(_BOM).strip(_AROUND)
        self._number += 1
        self._pieces.clear()
        self._size = 0
        if not is_kept or len(text) > self._max_bytes:
            return Line(self._number, None)
        return Line(self._number, text) if text else None
