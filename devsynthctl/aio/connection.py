"""One connection on an event loop: bodies out, bodies in, and the news that it has ended."""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import zmq

from devsynthctl.dealer import Dealer

FLUSH_S = 0.02
"""How long the last bodies may take to come after the news that the peer has hung up."""

BATCH = 64
"""Bodies that are read before other work of the loop has its turn."""


class Disconnected(Exception):
    """The connection has ended; nothing more will come of it."""


class Unsent:
    """A body that waits for a peer that reads; *sent* is done once it has left, or never will."""

    def __init__(self, body: bytes) -> None:
        self.body = body
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Connection:
    """Hands on what comes, as soon as it comes, until the end.

    Knows no messages. Belongs to the event loop that it is made on. The socket's descriptor and
    its monitor's are edge-triggered: both are read until they are empty, and looked at again after
    each send, which may use up the edge.

    Args:
        context: What it is a socket of.
        endpoint: An ``ipc://`` address.
        on_body: Called with each body; may close the connection.
        on_end: Called once if the peer hangs up, after the last body.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        on_body: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_body, self._on_end = on_body, on_end
        self._outbox: deque[Unsent] = deque()
        self._settled, self._over = asyncio.Event(), asyncio.Event()
        self._next_look: asyncio.Handle | None = None
        self._last_look: asyncio.Handle | None = None
        # All that comes is taken in at once anyway.
        self._dealer = Dealer(context, endpoint, receive_high_water=None)
        self._loop.add_reader(self._dealer.monitor_fd, self._read_news)
        self._loop.add_reader(self._dealer.fd, self._read)
        # libzmq signals only to a reader that has found nothing once.
        self._read_news()
        self._read()

    @property
    def is_made(self) -> bool:
        """Whether it is made, and is not known to have ended."""
        return self._dealer.is_made and not self._dealer.has_ended

    async def wait_until_made(self, until: float) -> bool:
        """Return true once the peer has spoken ZeroMQ, false if it has not at *until* (monotonic).

        Raises:
            Disconnected: It hung up, or speaks something else; or `close` was called.
        """
        if not await _set_by(self._settled, until):
            return False
        if not self.is_made:
            raise Disconnected
        return True

    async def wait_until_over(self) -> None:
        """Wait, after the peer has hung up, until its last bodies are handed on."""
        await self._over.wait()

    def put(self, body: bytes) -> Unsent | None:
        """Send *body*, null, or put it into the line of those that the peer is to read first.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        # The loop may not have come to the news yet; to send it then would be to lose it.
        if not self._dealer.is_closed:
            self._read_news()
        if self._dealer.is_closed or self._dealer.has_ended:
            raise Disconnected
        if not self._outbox and self._send(body):
            return None
        unsent = Unsent(body)
        self._outbox.append(unsent)
        return unsent

    def take_back(self, unsent: Unsent) -> bool:
        """Do not send what still waits; return false if it has been sent."""
        if unsent not in self._outbox:
            return False
        self._outbox.remove(unsent)
        return True

    def close(self) -> None:
        """Hang up; what was not sent or not handed on is dropped. Idempotent."""
        if self._dealer.is_closed:
            return
        for look in (self._next_look, self._last_look):
            if look:
                look.cancel()
        if not self._loop.is_closed():
            self._loop.remove_reader(self._dealer.fd)
            self._loop.remove_reader(self._dealer.monitor_fd)
            self._settled.set()
            self._over.set()
            for unsent in self._outbox:
                unsent.sent.cancel()
        self._outbox.clear()
        self._dealer.has_ended = True
        self._dealer.close()

    def _send(self, body: bytes) -> bool:
        has_left = self._dealer.send(body)
        if self._dealer.is_readable():
            self._read_soon()
        return has_left

    def _read(self) -> None:
        self._next_look = None
        for count in range(BATCH):
            # Mostly that was all. To look costs half of what an exception does.
            is_over = count == 1 and not self._dealer.is_readable()
            body = None if is_over else self._dealer.receive()
            if body is None:
                self._send_what_waits()
                return
            self._on_body(body)
            if self._dealer.is_closed:
                return
        self._read_soon()

    def _read_soon(self) -> None:
        if self._next_look is None:
            self._next_look = self._loop.call_soon(self._read)

    def _send_what_waits(self) -> None:
        while self._outbox and not self._dealer.has_ended and self._send(self._outbox[0].body):
            sent = self._outbox.popleft().sent
            if not sent.done():
                sent.set_result(None)

    def _read_news(self) -> None:
        self._dealer.read_news()
        if self._dealer.is_made or self._dealer.has_ended:
            self._settled.set()
        if self._dealer.has_ended and self._last_look is None:
            self._last_look = self._loop.call_later(FLUSH_S, self._end)

    def _end(self) -> None:
        while not self._dealer.is_closed:
            body = self._dealer.receive()
            if body is None:
                self.close()
                self._on_end()
            else:
                self._on_body(body)


async def _set_by(event: asyncio.Event, until: float) -> bool:
    """Wait for *event*; return false if it is not set at *until* (monotonic)."""
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            await event.wait()
    except TimeoutError:
        return False
    return True
