"""A real HTTP/1.1 server on a loopback port that answers as its script says, faults included.

    with UpstreamServer(models=["a"]) as server:
        server.script.append(tokens("Hello", " world"))
        server.script.append(silence())

Each generation takes the next entry of the script; without one it gets "Hello world". A list is
answered with the models, or by ``server.models_reply`` where that is set. With *answer*,
every request gets the reply that this function returns; ``tests.lmstudio`` uses the server so.
"""

import asyncio
import contextlib
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

from tests.support.upstream_exchange import WAIT_S, Exchange
from tests.support.upstream_replies import Reply, status, tokens

LAST_STEPS = 5
"""Of the loop, in which a connection may still come that was accepted right before the end."""


class UpstreamServer:
    """The server; a context manager that stops it and waits for its thread."""

    def __init__(
        self,
        models: Sequence[str] = ("m",),
        *,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        answer: Callable[[Exchange], Reply] | None = None,
        keep_alive_s: float | None = None,
    ) -> None:
        self.models = list(models)
        self.models_reply: Reply | None = None
        self.script: deque[Reply] = deque()
        self._tls = tls
        self._answer = answer
        self._keep_alive_s = keep_alive_s  # a connection that is idle for longer is closed
        self._exchanges: list[Exchange] = []
        self._arrived = threading.Condition()
        self._connections = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._listener = socket.create_server(("127.0.0.1", port), backlog=512)
        self._thread = threading.Thread(target=self._run, name="upstream-server")
        self._stop = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        """The base for an OpenAI client."""
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/v1"

    @property
    def generations(self) -> list[Exchange]:
        """The POST requests so far, in the order of their arrival."""
        with self._arrived:
            return self._posts()

    @property
    def lists(self) -> list[Exchange]:
        """The GET requests so far."""
        with self._arrived:
            return self._gets()

    def wait_unconnected(self) -> None:
        """Wait until no client has a connection any more."""
        with self._arrived:
            assert self._arrived.wait_for(lambda: not self._writers, WAIT_S), "one is still there"

    def wait_generation(self, number: int = 1, timeout_s: float = WAIT_S) -> Exchange:
        """Return the generation *number* (from 1) once it has arrived."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self._posts()) >= number, timeout_s)
            assert arrived, f"generation {number} has not come in {timeout_s} s"
            return self._posts()[number - 1]

    def wait_list(self, number: int = 1, timeout_s: float = WAIT_S) -> Exchange:
        """Return the list *number* (from 1) once it has been asked for."""
        with self._arrived:
            arrived = self._arrived.wait_for(lambda: len(self._gets()) >= number, timeout_s)
            assert arrived, f"list {number} has not been asked for in {timeout_s} s"
            return self._gets()[number - 1]

    def wait_disconnected(self, number: int = 1, timeout_s: float = WAIT_S) -> float:
        """Return when (``time.monotonic``) the client hung up on the generation *number*."""
        exchange = self.wait_generation(number, timeout_s)
        assert exchange.ended.wait(timeout_s), f"generation {number} goes on"
        assert exchange.disconnected_at is not None, f"generation {number} came to its end"
        return exchange.disconnected_at

    def __enter__(self) -> Self:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop it; answers under way are broken off."""
        self.stop()

    def start(self) -> None:
        """Answer from now on, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, break off what is under way and wait for the thread."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(WAIT_S)
        assert not self._thread.is_alive()

    def _posts(self) -> list[Exchange]:
        return [exchange for exchange in self._exchanges if exchange.method == "POST"]

    def _gets(self) -> list[Exchange]:
        return [exchange for exchange in self._exchanges if exchange.method == "GET"]

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._accepted, sock=self._listener, ssl=self._tls)
        await self._stop.wait()
        # First without the server's end: what it has just accepted could not be closed after that.
        self._loop.remove_reader(self._listener)
        for _ in range(LAST_STEPS):
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in list(self._writers):
                await self._hang_up(writer)
            await asyncio.sleep(0)
        server.close()

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # No coroutine: that of a connection which comes as the server stops would never start,
        # and nothing would close it.
        # asyncio does so itself only for sockets that were made with the protocol's number.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections += 1
        self._writers.add(writer)
        task = self._loop.create_task(self._converse(self._connections, reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converse(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            await self._talk(number, reader, writer)
        except (asyncio.IncompleteReadError, asyncio.CancelledError, OSError):
            pass  # the client left, was idle for too long, or the server stops
        finally:
            await self._hang_up(writer)

    async def _hang_up(self, writer: asyncio.StreamWriter) -> None:
        with self._arrived:
            self._writers.discard(writer)
            self._arrived.notify_all()
        if self._stop.is_set():
            writer.transport.abort()  # else it would wait for a client to read what was written
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async def _talk(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer the requests of one connection until it ends."""
        ahead = b""
        while True:
            async with asyncio.timeout(self._keep_alive_s):
                head = ahead + await reader.readuntil(b"\r\n\r\n")
            exchange = await _request(number, head, reader, writer)
            reply = self._reply_to(exchange)
            with self._arrived:
                self._exchanges.append(exchange)
                self._arrived.notify_all()
            try:
                ahead = await _answer(exchange, reply, reader)
            finally:
                if writer.is_closing():
                    exchange.closed.set()

    def _reply_to(self, exchange: Exchange) -> Reply:
        if self._answer is not None:
            return self._answer(exchange)
        if exchange.method == "GET":
            entries = [{"id": name, "object": "model", "owned_by": "tests"} for name in self.models]
            return self.models_reply or status(200, {"object": "list", "data": entries})
        return self.script.popleft() if self.script else tokens("Hello", " world")


async def _request(
    number: int, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> Exchange:
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    method, path, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Exchange(number, method, path, headers, body, writer)


async def _answer(exchange: Exchange, reply: Reply, reader: asyncio.StreamReader) -> bytes:
    """Write the answer and watch meanwhile whether the client hangs up.

    Returns:
        What the watch has read of the next request, which may come as the answer ends.
    """
    answering = asyncio.ensure_future(reply(exchange))
    watching = asyncio.ensure_future(reader.read(1))  # no client of ours sends ahead
    try:
        await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ConnectionResetError
        answering.result()
        exchange.finished_at = time.monotonic()
    except ConnectionError:
        exchange.disconnected_at = time.monotonic()
        raise
    finally:
        exchange.ended.set()
        await _cancelled(answering, watching)
    return b"" if watching.cancelled() else watching.result()


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def deaf_port() -> Iterator[int]:
    """Yield a port of 127.0.0.1 where a connection is neither accepted nor refused (Linux)."""
    with socket.socket() as listener, contextlib.ExitStack() as fillers:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        for _ in range(4):  # the queue of one holds a few; the next caller waits
            filler = fillers.enter_context(socket.socket())
            filler.setblocking(False)  # noqa: FBT003 - the standard library's signature
            filler.connect_ex(("127.0.0.1", port))
        yield port


def free_port() -> int:
    """Return a port of 127.0.0.1 where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port
