"""An upstream that costs next to nothing, a process of its own: ``python -m tests.bench.upstream``.

It speaks HTTP/1.1 and event streams as LM Studio does, writes its port as the first line, and ends
when its standard input does. ``max_tokens`` of a request is how many tokens the answer has.
"""

import asyncio
import json
import re
import sys
import time
from typing import Any

from tests.bench.answers import end_events, list_at, pace_of, split_path, token_event, whole_answer
from tests.bench.child import end_with_parent
from tests.bench.stamps import Stamper

BACKLOG = 512

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_JSON_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"


class Connection(asyncio.Protocol):
    """One kept connection; its requests come one after the other."""

    def __init__(self) -> None:
        self._transport: asyncio.WriteTransport
        self._read = b""
        self._pacing: Pacing | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep what is written to."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Say no more."""
        del exc
        if self._pacing is not None:
            self._pacing.stop()

    def data_received(self, data: bytes) -> None:
        """Answer each request once it is complete."""
        self._read += data
        while (end := self._read.find(b"\r\n\r\n")) >= 0:
            head = self._read[:end]
            length = _LENGTH.search(head)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._read) < size:
                return
            body, self._read = self._read[end + 4 : size], self._read[size:]
            method, path, _ = head.decode("latin-1").split(" ", 2)
            self._answer(method, path, body)

    def _answer(self, method: str, path: str, body: bytes) -> None:
        if method == "POST":
            self._stream(json.loads(body))
            return
        count, path = split_path(path)
        answer = json.dumps(list_at(path, count)).encode()
        self._transport.write(_JSON_HEAD % (len(answer), answer))

    def _stream(self, request: dict[str, Any]) -> None:
        model, tokens = request["model"], request["max_tokens"]
        pace = pace_of(model)
        if pace is None:
            self._transport.write(_STREAM_HEAD + whole_answer(model, tokens))
        else:
            self._transport.write(_STREAM_HEAD)
            self._pacing = Pacing(self._transport, model, tokens, 1 / pace)


class Pacing:
    """Writes an answer of so many *tokens*, one every *interval_s*; each tells when it was sent."""

    def __init__(
        self, transport: asyncio.WriteTransport, model: str, tokens: int, interval_s: float
    ) -> None:
        self._transport, self._model, self._tokens = transport, model, tokens
        self._interval_s = interval_s
        self._stamper = Stamper()
        self._sent = 0
        self._loop = asyncio.get_running_loop()
        self._next_at = self._loop.time()
        self._wait()

    def stop(self) -> None:
        """Write no more."""
        self._timer.cancel()

    def _wait(self) -> None:
        self._next_at += self._interval_s
        self._timer = self._loop.call_at(self._next_at, self._write)

    def _write(self) -> None:
        self._sent += 1
        if self._sent < self._tokens:
            token = self._stamper.token(time.monotonic_ns())
            self._transport.write(token_event(self._model, token))
            self._wait()
            return
        last = token_event(self._model, self._stamper.seal())
        self._transport.write(last + end_events(self._model, self._tokens))


async def serve() -> None:
    """Answer until the process ends."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0, backlog=BACKLOG)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(serve())
