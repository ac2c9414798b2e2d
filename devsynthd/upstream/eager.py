"""A response of ``http.client`` that never waits for more than has come."""

import contextlib
import http.client
import ssl
from typing import Any

from devsynthd.upstream.chunks import ChunkDecoder, Framing, PlainBody

MAX_INTERIM = 16
"""Interim answers that may come before the one that counts."""


def is_interim(status: int) -> bool:
    """Whether another answer follows one with *status*. Source: RFC 9110, section 15.2."""
    return 100 <= status < 200 and status != http.HTTPStatus.SWITCHING_PROTOCOLS  # noqa: PLR2004 - HTTP


class EagerResponse(http.client.HTTPResponse):
    """Gives what has come, of however many chunks, in one ``read1``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        super().__init__(*args, **kwargs)
        self._chunks = ChunkDecoder()

    def _read_status(self) -> tuple[str, int, str]:
        """Read the line with the status of the answer, and all that comes before it.

        ``http.client`` waits for ever while a server says 100, and takes 103 for the answer.
        """
        for _ in range(MAX_INTERIM + 1):
            version, status, reason = super()._read_status()  # type: ignore[misc]  # not in its stub
            if not is_interim(status):
                return version, status, reason
            http.client.parse_headers(self.fp)
        raise http.client.HTTPException("the answer does not come, only interim ones")

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
