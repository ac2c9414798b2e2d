"""The body of an answer, taken from its connection without waiting: for the event loop."""

import http.client
import socket
import ssl
from typing import Any

import urllib3

from devsynthd.upstream.content_coding import inflater_for
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
        self._inflater = inflater_for(raw.headers.get("Content-Encoding", ""))
        wire.settimeout(0)
        self._read_ahead, self._framing = self._response.hand_over()
        self._has_ended = False
        self.taken_bytes = 0  # from the connection, the framing of the body included

    @property
    def ended(self) -> bool:
        """Whether all of the body has been read."""
        return (self._framing.done or self._has_ended) and not self._has_more_inside

    @property
    def _has_more_inside(self) -> bool:
        """Whether there is more of the body in what has been taken."""
        return self._inflater is not None and self._inflater.has_more

    @property
    def may_have_more(self) -> bool:
        """Whether there may be bytes here that the descriptor knows nothing of."""
        if self._has_more_inside:
            return True
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
        if self._inflater is not None and self._inflater.has_more:
            return self._inflater.step()
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
        self.taken_bytes += len(data)
        try:
            body: bytes = self._framing.feed(data)
        except ValueError as exc:
            raise http.client.HTTPException(str(exc)) from exc
        return body if self._inflater is None else self._inflater.step(body)

    def close(self) -> None:
        """Give the connection back if it can serve again, else close it."""
        if self._framing.done and not self._framing.surplus:
            self._response.close()
        else:
            self._raw.close()
        self._raw.release_conn()
