"""Runs blocking exchanges on threads, so that each can be cancelled at once."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from devsynthd.host.limits import SHORTAGE_HINT
from devsynthd.host.threads import Threads
from devsynthd.upstream.line import Line
from devsynthd.wire.errors import UpstreamUnavailable

HANG_UP_S = 1.0
"""How long a cancellation waits for the thread to close its connection."""

T = TypeVar("T")


class Exchanges:
    """At most *max_threads* exchanges at a time; the rest wait their turn.

    A cancelled exchange is hung up on, and the cancellation goes on when its thread is done. Only
    a name lookup cannot be cut short: after ``HANG_UP_S`` its thread is left to itself.
    """

    def __init__(self, max_threads: int, *, name: str) -> None:
        self._threads = Threads(max_threads, thread_name_prefix=name)
        self._under_way: dict[asyncio.Future[Any], Callable[[], None]] = {}
        self._closed = False

    async def run(
        self,
        exchange: Callable[[Line], T],
        line: Line | None = None,
        *,
        keeps: Callable[[T], bool] = lambda _: False,
        discard: Callable[[T], None] = lambda _: None,
    ) -> T:
        """Return what *exchange* returns, called on a thread with *line*, or with one of its own.

        Where *keeps* says so of the result, the exchange goes on with that line. If nobody waits
        for the result any more, *discard* is called with it, on the event loop.

        Raises:
            UpstreamUnavailable: ``close`` was called before, or the system grants no thread.
        """
        if self._closed:
            raise given_up()
        line = line or Line()

        def talk() -> T:
            goes_on = False
            try:
                result = exchange(line)
                goes_on = keeps(result)
                return result
            finally:
                if not goes_on:
                    line.let_go()

        def dispose(done: asyncio.Future[T]) -> None:
            if not done.cancelled() and done.exception() is None:
                discard(done.result())

        try:
            job = self._threads.submit(talk)
        except OSError as exc:
            raise UpstreamUnavailable(
                f"the upstream cannot be asked: {exc.strerror}", hint=SHORTAGE_HINT
            ) from exc
        done = asyncio.wrap_future(job)
        self._under_way[done] = line.hang_up
        done.add_done_callback(self._ended)
        try:
            await asyncio.wait({done})
        except asyncio.CancelledError:
            line.hang_up()
            job.cancel()  # it may not have begun
            done.add_done_callback(dispose)
            await asyncio.wait({done}, timeout=HANG_UP_S)
            raise
        if done.cancelled():  # by close(), before a thread was free
            raise given_up()
        try:
            return done.result()
        finally:
            del done, job  # what failed refers to this frame, and would be kept by it

    @contextlib.contextmanager
    def under_way(self, hang_up: Callable[[], None]) -> Iterator[None]:
        """Have ``close`` call *hang_up* and wait for the end of the block: no thread is at it.

        Raises:
            UpstreamUnavailable: ``close`` was called before.
        """
        if self._closed:
            raise given_up()
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._under_way[ended] = hang_up
        try:
            yield
        finally:
            del self._under_way[ended]
            ended.set_result(None)

    async def close(self) -> None:
        """Hang up on everything and end the threads; nothing runs after this."""
        self._closed = True
        under_way = dict(self._under_way)
        for hang_up in under_way.values():
            hang_up()
        if under_way:
            await asyncio.wait(under_way, timeout=HANG_UP_S)
        self._threads.shutdown(wait=not self._under_way, cancel_futures=True)

    def _ended(self, done: asyncio.Future[Any]) -> None:
        self._under_way.pop(done, None)
        with contextlib.suppress(asyncio.CancelledError):
            done.exception()  # somebody may have stopped waiting for it: that is no mistake


def given_up() -> UpstreamUnavailable:
    """Return the error for what was under way, or came too late, when all was hung up on."""
    return UpstreamUnavailable("the connections to this upstream were given up: ask again")
