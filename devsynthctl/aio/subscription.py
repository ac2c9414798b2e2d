"""Events while they come, for asyncio."""

import time
from typing import Self

from devsynthctl.aio.held import AsyncHeld
from devsynthctl.errors import BadReply
from devsynthctl.news import News
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Event


class AsyncSubscription(AsyncHeld):
    """Iterates over events, until it is closed or dropped, or the daemon ends it.

    It is asked for when it is first awaited, entered or iterated; the first event of each topic but
    ``log`` is a snapshot. One task reads it; if it is cancelled while it waits for an event, the
    subscription ends: to wait only for a while, use `wait`. Events are taken in while nobody reads;
    if more than 16 MiB of them wait, the oldest are dropped, and counted in `News.missed` of the
    next one.

    Iterating raises what the daemon ended it with: `ShuttingDown`, as a rule, or `ConnectionLost`
    if it went away.
    """

    async def wait(self, seconds: float | None = None) -> News | None:
        """Return the next event, or null if none comes within *seconds* (null: no limit).

        Null also if it was closed, or is meanwhile by another task.

        Raises:
            DevsynthError: The daemon has ended it, or cannot be reached.
            RuntimeError: Another task waits already.
        """
        if self._is_over:
            return None
        self._call.require_free()
        until = None if seconds is None else time.monotonic() + seconds
        try:
            reply = await self._call.next(until)
        except DevsynthError:
            if self._is_over:  # by another task
                return None
            self._drop()
            raise
        except BaseException:
            self._drop()
            raise
        if reply is None or isinstance(reply, Event):
            return None if reply is None else News(reply)
        self._drop()
        raise BadReply(f"a subscription was answered by {type(reply).__name__}")

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        news = await self.wait()
        if news is None:
            raise StopAsyncIteration
        return news
