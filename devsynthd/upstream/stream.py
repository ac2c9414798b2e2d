"""The body of an answer, taken from its connection without waiting: for the event loop."""

import http.client
import socket
import ssl
import zlib
from typing import Any

import urllib3

from devsynthd.upstream.eager import EagerResponse

READ_BYTES = 65_536


class Stream:
    """The body of *raw*, of which the head has been read, on the connection *wire*.

    From now on *wire* never waits. Whoever has a stream closes it.
    """

    def __init__(self, raw: urllib3.HTTPResponse, wire: socket.socket) -> None:
        self._raw, self._wire = raw, wire
        response: Any = raw._original_response  # noqa: SLF001 - there is no other way to it
        self._response: EagerResponse = response
        self._decoder = _decoder(raw.headers.get("Content-Encoding", ""))
        wire.settimeout(0)
        self._read_ahead, self._framing = self._response.hand_over()
        self._has_ended = False

    @property
    def ended(self) -> bool:
        """Whether all of the body has been read."""
        return self._framing.done or self._has_ended

    @property
    def may_have_more(self) -> bool:
        """Whether there may be bytes here that the descriptor knows nothing of."""
        if type(self._wire) is socket.socket:
            return False
        if isinstance(self._wire, ssl.SSLSocket):
            return self._wire.pending() > 0
        return True  # TLS within TLS, to a server behind a proxy

    def fileno(self) -> int:
        """Return the descriptor that is readable when more has come."""
        return self._wire.fileno()

    def read(self, buffer: memoryview) -> bytes | None:
        """Return what of the body has come; null while nothing has. *buffer* is to be used.

        It may be empty; ``ended`` tells the end.

        Raises:
            OSError: The connection broke.
            HTTPException: The connection ended before the body did, or that is none.
        """
        data = self._read_ahead
        if data:
            self._read_ahead = b""
        else:
            try:
                data = bytes(buffer[: self._wire.recv_into(buffer)])
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return None
            if not data:
                if not self._framing.ends_anywhere:
                    raise http.client.IncompleteRead(b"")
                self._has_ended = True
                return b""
        try:
            body: bytes = self._framing.feed(data)
            if self._decoder is not None:
                body = self._decoder.decompress(body)
        except (ValueError, zlib.error) as exc:
            raise http.client.HTTPException(str(exc)) from exc
        return body

    def close(self) -> None:
        """Give the connection back if it can serve again, else close it."""
        if self._framing.done and not self._framing.surplus:
            self._response.close()
        else:
            self._raw.close()
        self._raw.release_conn()


def _decoder(encoding: str) -> Any:  # noqa: ANN401 - zlib does not name the type
    """Return what decodes a body in *encoding*; null where there is nothing to do.

    Raises:
        HTTPException: Nothing does. It was not asked for.
    """
    match encoding.strip().lower():
        case "" | "identity":
            return None
        case "gzip" | "x-gzip" | "deflate":
            return zlib.decompressobj(zlib.MAX_WBITS | 32)  # which tells them apart
        case _:
            raise http.client.HTTPException(f"a body in the encoding {encoding!r}")
