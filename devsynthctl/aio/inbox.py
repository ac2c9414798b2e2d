"""The replies to one request that have come and are not read yet."""

import asyncio
import time
from collections.abc import Callable

from devsynthctl.unread import Unread, not_read
from devsynthd.wire.replies import ReceivedReply


class Inbox:
    """Keeps replies in their order, for one reader, as long as they are not too many."""

    def __init__(self) -> None:
        self._unread = Unread()
        self._end: Callable[[], Exception] | None = None
        self._reader: asyncio.Future[bool] | None = None

    def put(self, reply: ReceivedReply, body_bytes: int) -> bool:
        """Take in *reply*, of *body_bytes*; return false if the inbox is too full and has ended."""
        if not self._unread.put(reply, body_bytes):
            self.end(not_read)
            return False
        self._wake(came=True)
        return True

    def end(self, reason: Callable[[], Exception]) -> None:
        """Take in nothing more; who has read all that is here gets a new *reason*."""
        self._end = self._end or reason
        self._wake(came=True)

    async def next(self, until: float | None) -> ReceivedReply | None:
        """Return the next reply, or null if none has come at *until* (monotonic; null: no end).

        Raises:
            Exception: The reason that `end` was given.
        """
        while not self._unread:
            if self._end:
                raise self._end()
            if not await self._wait(until):
                return None
        return self._unread.take()

    async def _wait(self, until: float | None) -> bool:
        loop = asyncio.get_running_loop()
        self._reader = loop.create_future()
        timer = None
        if until is not None:
            timer = loop.call_later(max(0.0, until - time.monotonic()), self._time_is_over)
        try:
            return await self._reader
        finally:
            self._reader = None
            if timer:
                timer.cancel()

    def _time_is_over(self) -> None:
        self._wake(came=False)

    def _wake(self, *, came: bool) -> None:
        if self._reader and not self._reader.done():
            self._reader.set_result(came)
