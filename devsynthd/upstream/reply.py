"""One answer of a server, of which the head has come."""

from collections.abc import Callable

from urllib3 import HTTPResponse

from devsynthd.upstream.content_coding import inflater_for
from devsynthd.upstream.line import Line
from devsynthd.upstream.stream import READ_BYTES, Stream


class Reply:
    """One answer of the server, of which the head has come."""

    def __init__(self, raw: HTTPResponse, line: Line) -> None:
        self.status = raw.status
        self.content_type = raw.headers.get("Content-Type", "")
        self._raw = raw
        self._line = line

    @property
    def ok(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP

    @property
    def media_type(self) -> str:
        """What the body is said to be, such as ``text/event-stream``."""
        return self.content_type.partition(";")[0].strip().lower()

    def read_all(self, max_bytes: int, left_s: Callable[[], float]) -> bytes:
        """Return the body, or the start of it if it is longer than *max_bytes*.

        *left_s* says before each read how long it may take.

        Raises:
            TimeoutError, urllib3.exceptions.HTTPError: It did not come in time, or the connection
                ended before the body did.
            HTTPException: It is in an encoding that was not asked for.
        """
        body = bytearray()  # not many parts, whose memory would stay with the thread's allocator
        inflater = inflater_for(self._raw.headers.get("Content-Encoding", ""))
        while len(body) <= max_bytes and (data := self.read(left_s())):
            if inflater is None:
                body += data
                continue
            body += inflater.step(data)
            while inflater.has_more and len(body) <= max_bytes:
                body += inflater.step()
        return bytes(memoryview(body)[: max_bytes + 1])

    def read(self, timeout_s: float) -> bytes:
        """Return what has come of the body, at least a byte, as it was sent; nothing at its end.

        Raises:
            TimeoutError, urllib3.exceptions.HTTPError: As ``read_all`` says.
        """
        if timeout_s <= 0:
            raise TimeoutError  # a server that never pauses would be read for ever
        self._line.set_timeout(timeout_s)
        return self._raw.read1(READ_BYTES, decode_content=False) or b""

    def stream(self) -> Stream:
        """Return the body for the event loop to read; it is to be closed in place of this.

        Raises:
            HTTPException: It is in an encoding that was not asked for.
        """
        wire = self._line.wire
        if wire is None:
            raise AssertionError("the head came from somewhere")
        return Stream(self._raw, wire)

    def close(self) -> None:
        """Close it, and its connection if not all of the body has been read."""
        self._raw.close()
        self._raw.release_conn()
