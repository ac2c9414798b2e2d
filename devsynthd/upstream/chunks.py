"""Takes HTTP bodies out of what the connection carries."""

from typing import Protocol

MAX_SIZE_LINE_BYTES = 4096
MAX_TRAILER_BYTES = 65_536


class Framing(Protocol):
    """Knows where a body begins and ends in the bytes of its connection, cut anywhere.

    *done*: it has ended. *ends_anywhere*: the end of the connection is its end as well. *surplus*:
    more came than there is of it, so nobody knows what the next answer on that connection is.
    """

    done: bool
    ends_anywhere: bool
    surplus: bool

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in *data*.

        Raises:
            ValueError: It is no such body.
        """


class ChunkDecoder:
    """Turns the bytes of a chunked body, cut anywhere, into the body.

    ``http.client`` hands out a chunk a read, which is an event a read on most servers; this gives
    all that has come at once. Source: RFC 9112, section 7.1.
    """

    def __init__(self) -> None:
        self.done = self.ends_anywhere = self.surplus = False
        self._rest = b""  # the start of a line whose end has not come yet
        self._left = 0  # bytes of the current chunk still to come
        self._after_chunk = False
        self._in_trailer = False
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in *data*; ``done`` is set at its end.

        Raises:
            ValueError: These are no chunks.
        """
        if self._rest:
            data = self._rest + data
        parts: list[bytes] = []
        position, size = 0, len(data)
        while position < size and not self.done:
            if self._left:
                part = data[position : position + self._left]
                parts.append(part)
                position += len(part)
                self._left -= len(part)
                continue
            end = data.find(b"\n", position)
            if end < 0:
                break
            self._line(data[position:end].strip())
            position = end + 1
        self._rest = b"" if self.done else data[position:]
        self.surplus = self.done and position < size
        if len(self._rest) > MAX_SIZE_LINE_BYTES:
            raise ValueError("the size of a chunk is not given")
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _line(self, line: bytes) -> None:
        if self._after_chunk:
            if line:
                raise ValueError("a chunk is longer than its size")
            self._after_chunk = False
        elif self._in_trailer:
            self.done = not line
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_TRAILER_BYTES:
                raise ValueError("the trailer of the body has no end")
        else:
            size = int(line.partition(b";")[0], 16)
            if size < 0:
                raise ValueError("the size of a chunk is negative")
            self._left, self._after_chunk, self._in_trailer = size, size > 0, size == 0


class PlainBody:
    """A body of so many bytes; null: it ends where its connection does."""

    def __init__(self, length: int | None) -> None:
        self._left = length
        self.done, self.ends_anywhere = length == 0, length is None
        self.surplus = False

    def feed(self, data: bytes) -> bytes:
        """Return what of *data* is the body's."""
        if self._left is None:
            return data
        body = data[: self._left]
        self._left -= len(body)
        self.done, self.surplus = not self._left, len(body) < len(data)
        return body
