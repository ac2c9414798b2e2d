"""Lets generations wait for their turn on the event loop."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

from devsynthd.scheduling.queue import FairQueue
from devsynthd.wire.errors import QueueFull


class Turns:
    """Gives turns in the order of a ``FairQueue``."""

    def __init__(self, max_running: int, limit: int) -> None:
        self.queue: FairQueue[Hashable, Hashable] = FairQueue(max_running, limit)
        self._calls: dict[Hashable, asyncio.Future[None]] = {}

    def resize(self, max_running: int, limit: int) -> None:
        """Change both limits; turns that are taken already last."""
        self.queue.max_running, self.queue.limit = max_running, limit
        self._start()

    @asynccontextmanager
    async def turn(self, client: Hashable, ticket: Hashable) -> AsyncIterator[None]:
        """Wait for the turn of *ticket*, keep it while inside, and pass it on at the end.

        Raises:
            QueueFull: Too many of *client*, or of all clients, wait already.
        """
        if not self.queue.has_room(client):
            raise QueueFull(
                f"{self.queue.waiting} generations wait already",
                hint="try again later, or raise daemon_queue_limit",
            )
        called = self._calls[ticket] = asyncio.get_running_loop().create_future()
        self.queue.add(client, ticket)
        self._start()
        try:
            await called
        except asyncio.CancelledError:
            if called.cancelled():
                self.queue.remove(client, ticket)
            else:  # its turn came in the same moment
                self._end()
            raise
        finally:
            del self._calls[ticket]
        try:
            yield
        finally:
            self._end()

    def _start(self) -> None:
        while (ticket := self.queue.next()) is not None:
            self._calls[ticket].set_result(None)

    def _end(self) -> None:
        self.queue.done()
        self._start()
