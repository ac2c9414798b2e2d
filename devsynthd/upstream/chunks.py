"""Takes HTTP bodies out of their chunks."""

MAX_SIZE_LINE_BYTES = 4096


class ChunkDecoder:
    """Turns the bytes of a chunked body, cut anywhere, into the body.

    ``http.client`` hands out a chunk a read, which is an event a read on most servers; this gives
    all that has come at once. Source: RFC 9112, section 7.1.
    """

    def __init__(self) -> None:
        self.done = False
        self._rest = b""  # the start of a line whose end has not come yet
        self._left = 0  # bytes of the current chunk still to come
        self._after_chunk = False
        self._in_trailer = False

    def feed(self, data: bytes) -> bytes:
        """Return the bytes of the body in *data*; ``done`` is set at its end.

        Raises:
            ValueError: These are no chunks.
        """
        data = self._rest + data
        parts: list[bytes] = []
        position = 0
        while position < len(data) and not self.done:
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
        if len(self._rest) > MAX_SIZE_LINE_BYTES:
            raise ValueError("the size of a chunk is not given")
        return b"".join(parts)

    def _line(self, line: bytes) -> None:
        if self._after_chunk:
            if line:
                raise ValueError("a chunk is longer than its size")
            self._after_chunk = False
        elif self._in_trailer:
            self.done = not line
        else:
            size = int(line.partition(b";")[0], 16)
            if size < 0:
                raise ValueError("the size of a chunk is negative")
            self._left, self._after_chunk, self._in_trailer = size, size > 0, size == 0
