"""Events while they come, for asyncio."""

import contextlib
import time
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from devsynthctl.aio.call import Call
from devsynthctl.errors import BadReply
from devsynthctl.news import News
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Event


class AsyncSubscription:
    """Iterates over events, until it is closed or dropped, or the daemon ends it.

    It is asked for when it is first awaited, entered or iterated; the first event of each topic but
    ``log`` is a snapshot. One task reads it; if it is cancelled while it waits for an event, the
    subscription ends: to wait only for a while, use `wait`. Events are taken in while nobody reads;
    if more than 16 MiB of them wait, the oldest are dropped, and counted in `News.missed` of the
    next one.

    Iterating raises what the daemon ended it with: `ShuttingDown`, as a rule, or `ConnectionLost`
    if it went away.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_closed = False

    @property
    def id(self) -> int:
        """The request's id, for `AsyncClient.cancel`."""
        return self._call.id

    async def wait(self, seconds: float | None = None) -> News | None:
        """Return the next event, or null if none comes within *seconds* (null: no limit).

        Null also if it was closed, or is meanwhile by another task.

        Raises:
            DevsynthError: The daemon has ended it, or cannot be reached.
            RuntimeError: Another task waits already.
        """
        if self._is_closed:
            return None
        self._call.require_free()
        until = None if seconds is None else time.monotonic() + seconds
        try:
            reply = await self._call.next(until)
        except DevsynthError:
            if self._is_closed:  # by another task
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

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if not self._is_closed:
            await self._call.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News:
        news = await self.wait()
        if news is None:
            raise StopAsyncIteration
        return news

    async def aclose(self) -> None:
        """End it. Idempotent."""
        self._drop()

    def __del__(self) -> None:
        if not getattr(self, "_is_closed", True):
            with contextlib.suppress(Exception):
                self._call.cancel_soon()

    def _drop(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._call.cancel()
