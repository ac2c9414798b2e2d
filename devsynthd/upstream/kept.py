"""Asks on a connection that is open: by the event loop, since nothing of it blocks."""

import asyncio
import http.client
import io
import re
import socket
import ssl
from typing import Any

from urllib3 import HTTPHeaderDict, HTTPResponse

from devsynthd.upstream.connections import Connection, Pool
from devsynthd.upstream.eager import EagerResponse, is_interim
from devsynthd.upstream.line import Line

MAX_REQUEST_BYTES = 16_384
"""What an idle connection takes at once, on every system."""

MAX_HEAD_BYTES = 65_536

_END_OF_HEAD = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"HTTP/\d\.\d +(\d{3})\b")


class NotSent(Exception):
    """The connection did not take all of the request, so nobody can have read it."""


class Kept:
    """A connection of *pool* that is open, taken by *line*, and the *request* for it."""

    def __init__(self, pool: Pool, connection: Connection, line: Line, request: bytes) -> None:
        self._pool, self._connection, self._line = pool, connection, line
        self._request = request
        wire: Any = connection.sock
        self._wire: socket.socket = wire
        self._come = bytearray()
        self._interim_bytes = 0
        self._head: asyncio.Future[None]  # it has come

    async def ask(self, buffer: memoryview, timeout_s: float) -> HTTPResponse:
        """Send the request and return its answer, of which the head has come. To be closed.

        *buffer* is to be used, as others may in between.

        Raises:
            NotSent: It should be asked on another connection.
            TimeoutError: No head came within *timeout_s*.
            OSError: The connection broke; a reset, if it ended without a word.
            HTTPException, urllib3.exceptions.HTTPError: What came is not HTTP.
        """
        loop = asyncio.get_running_loop()
        self._head = loop.create_future()
        try:
            self._send()
            loop.add_reader(self._wire.fileno(), self._read, buffer)
            timer = loop.call_later(timeout_s, self._fail, TimeoutError())
            try:
                await self._head
            finally:
                timer.cancel()
                loop.remove_reader(self._wire.fileno())
            return self._answer()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection; for one that was not asked, or in vain."""
        self._connection.close()
        self._pool.give_back(self._connection)

    def _send(self) -> None:
        self._wire.settimeout(0)
        self._line.wire = self._wire
        try:
            sent = self._wire.send(self._request)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError) as exc:
            raise NotSent from exc
        if sent < len(self._request):
            raise NotSent

    def _read(self, buffer: memoryview) -> None:
        try:
            count = self._wire.recv_into(buffer)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError as exc:
            self._fail(exc)
            return
        self._come += buffer[:count]
        # If the connection has ended, http.client knows what to make of it.
        if (self._has_head() or count == 0) and not self._head.done():
            self._head.set_result(None)
        elif self._interim_bytes + len(self._come) > MAX_HEAD_BYTES:
            self._fail(http.client.HTTPException("the head of the answer has no end"))

    def _has_head(self) -> bool:
        """Whether all of the head has come; interim answers before it are dropped."""
        while (end := _END_OF_HEAD.search(self._come)) is not None:
            status = _STATUS.match(self._come)
            if status is None or not is_interim(int(status[1])):
                return True
            self._interim_bytes += end.end()
            del self._come[: end.end()]
        return False

    def _fail(self, error: Exception) -> None:
        if not self._head.done():
            self._head.set_exception(error)

    def _answer(self) -> HTTPResponse:
        begun: Any = _Begun(self._wire, bytes(self._come))
        response = EagerResponse(begun, method="POST")
        try:
            response.begin()
            answer = HTTPResponse(
                body=response,
                headers=HTTPHeaderDict(response.msg.items()),
                status=response.status,
                reason=response.reason,
                preload_content=False,
                decode_content=False,
                original_response=response,
                pool=self._pool,
                connection=self._connection,
                request_method="POST",
            )
        except BaseException:
            response.close()  # it keeps the socket open
            raise
        if response.will_close:
            self._connection.close()  # what has not been read of the answer can be read on
        return answer


class _Begun(io.RawIOBase):
    """A socket of which *data* has been read already; ``http.client`` makes a file of it."""

    def __init__(self, wire: socket.socket, data: bytes) -> None:
        self._data, self._rest = data, wire.makefile("rb", buffering=0)

    def makefile(self, _: str) -> io.BufferedReader:
        """Return it as a file; it may be called once."""
        # More would lie idle: a stream is read from the socket, all else in larger pieces.
        return io.BufferedReader(self, max(len(self._data), 1))

    def readable(self) -> bool:
        """It is there to be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - any that can be written to
        """Read what is there, null if nothing is yet."""
        if not self._data:
            return self._rest.readinto(buffer)
        part = self._data[: len(buffer)]
        buffer[: len(part)] = part
        self._data = self._data[len(part) :]
        return len(part)

    def close(self) -> None:
        """Let go of the socket."""
        self._rest.close()
        super().close()
