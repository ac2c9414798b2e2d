"""Runs blocking exchanges on threads, so that each can be cancelled at once."""

import asyncio
import contextlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

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
        self._threads = ThreadPoolExecutor(max_threads, thread_name_prefix=name)
        self._under_way: dict[asyncio.Future[Any], Callable[[], None]] = {}
        self._closed = False

    async def run(
        self, exchange: Callable[[Line], T], *, on_hang_up: Callable[[], None] | None = None
    ) -> T:
        """Return what *exchange* returns, called on a thread with a line of its own.

        *on_hang_up* is called as well if it must be cut short: it lets go of a thread that waits
        for something else than its socket.

        Raises:
            UpstreamUnavailable: ``close`` was called before.
        """
        if self._closed:
            raise _given_up()
        line = Line()

        def hang_up() -> None:
            line.hang_up()
            if on_hang_up is not None:
                on_hang_up()

        def talk() -> T:
            try:
                return exchange(line)
            finally:
                line.let_go()

        job = self._threads.submit(talk)
        done = asyncio.wrap_future(job)
        self._under_way[done] = hang_up
        done.add_done_callback(self._ended)
        try:
            await asyncio.wait({done})
        except asyncio.CancelledError:
            hang_up()
            job.cancel()  # it may not have begun
            await asyncio.wait({done}, timeout=HANG_UP_S)
            raise
        if done.cancelled():  # by close(), before a thread was free
            raise _given_up()
        try:
            return done.result()
        finally:
            del done, job  # what failed refers to this frame, and would be kept by it

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


def _given_up() -> UpstreamUnavailable:
    return UpstreamUnavailable("the connections to this upstream were given up: ask again")
