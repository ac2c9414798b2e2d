"""A response of ``http.client`` that never waits for more than has come."""

import contextlib
import http.client
import ssl
from typing import Any

from devsynthd.upstream.chunks import ChunkDecoder, Framing, PlainBody


class EagerResponse(http.client.HTTPResponse):
    """Gives what has come, of however many chunks, in one ``read1``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        super().__init__(*args, **kwargs)
        self._chunks = ChunkDecoder()

    def read1(self, n: int = -1) -> bytes:
        """Return at most *n* bytes of the body, nothing at its end."""
        if not self.chunked:
            return super().read1(n)
        while self.fp is not None and not self._chunks.done:
            data = self.fp.read1(n)
            if not data:
                raise http.client.IncompleteRead(b"")
            try:
                body = self._chunks.feed(data)
            except ValueError as exc:
                raise http.client.HTTPException(str(exc)) from exc
            if self._chunks.done:
                self.close()
            if body:
                return body
        return b""

    def hand_over(self) -> tuple[bytes, Framing]:
        """Return what has been read of the body, and what takes it out; its socket never waits.

        All else is read from that socket.
        """
        data = b""
        if self.fp is not None:
            with contextlib.suppress(ssl.SSLWantReadError):
                data = self.fp.peek()
        return data, self._chunks if self.chunked else PlainBody(self.length)
