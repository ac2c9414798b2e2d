"""One request to the scripted upstream, and the writing of its answer."""

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Any

WAIT_S = 5.0

_EVENT_STREAM = "text/event-stream"


class Gate:
    """Lets the tokens of an answer through, one by one or all; opened from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ready = threading.Event()
        self._tokens: asyncio.Semaphore | None = None

    def step(self, count: int = 1) -> None:
        """Let *count* more tokens through; waits until an answer has come to the gate."""
        assert self._ready.wait(WAIT_S), "no answer has come to this gate"
        assert self._loop is not None
        assert self._tokens is not None
        for _ in range(count):
            self._loop.call_soon_threadsafe(self._tokens.release)

    async def pass_one(self) -> None:
        """Wait for leave to send a token (on the server's loop)."""
        if self._tokens is None:
            self._loop, self._tokens = asyncio.get_running_loop(), asyncio.Semaphore(0)
            self._ready.set()
        await self._tokens.acquire()


class Exchange:
    """One request and its answer, for the script to write and for tests to look at."""

    def __init__(
        self,
        number: int,
        method: str,
        path: str,
        headers: dict[str, str],
        body: bytes,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.connection = number  # counts the connections that clients opened, from 1
        self.method, self.path, self.headers, self.raw_body = method, path, headers, body
        self.received_at = time.monotonic()
        self.disconnected_at: float | None = None  # the client hung up before the answer's end
        self.finished_at: float | None = None
        self.ended = threading.Event()  # one of the two
        self.closed = threading.Event()  # the connection, from this side
        self.bytes_sent = 0
        self.extra_headers: Sequence[tuple[str, str]] = ()  # in the head of every answer
        self._writer = writer
        self._chunked = False

    @property
    def body(self) -> Any:  # noqa: ANN401 - JSON is anything
        """The JSON value of the request's body."""
        return json.loads(self.raw_body)

    async def head(self, status: int = 200, content_type: str = _EVENT_STREAM) -> None:
        """Send the head of an answer whose body comes in chunks."""
        self._chunked = True
        await self.send(
            f"HTTP/1.1 {status} OK\r\nContent-Type: {content_type}\r\n"
            f"{_lines(self.extra_headers)}Transfer-Encoding: chunked\r\n\r\n".encode()
        )

    async def chunk(self, data: bytes) -> None:
        """Send one piece of such a body."""
        await self.send(b"%x\r\n%b\r\n" % (len(data), data))

    async def event(self, value: Any, name: str = "") -> None:  # noqa: ANN401 - JSON is anything
        """Send one event with the JSON text of *value*, or *value* itself if it is text."""
        data = value if isinstance(value, str) else json.dumps(value)
        prefix = f"event: {name}\n" if name else ""
        await self.chunk(f"{prefix}data: {data}\n\n".encode())

    async def end(self) -> None:
        """End such a body."""
        if self._chunked:
            await self.send(b"0\r\n\r\n")

    async def whole(
        self,
        status: int,
        content_type: str,
        body: bytes,
        headers: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Send a whole answer."""
        extra = _lines([*self.extra_headers, *headers])
        await self.send(
            f"HTTP/1.1 {status} X\r\nContent-Type: {content_type}\r\n{extra}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )

    async def send(self, data: bytes) -> None:
        """Send bytes as they are, no faster than the client reads."""
        self._writer.write(data)
        await self._writer.drain()
        self.bytes_sent += len(data)

    def cut(self) -> None:
        """End the connection in an orderly way, wherever the answer is."""
        self._writer.close()

    def reset(self) -> None:
        """End the connection with a reset."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


def _lines(headers: Sequence[tuple[str, str]]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers)
