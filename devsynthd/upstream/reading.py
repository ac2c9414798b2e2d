"""Reads an answer on the event loop: bytes from its connection, deltas to whoever takes them."""

import asyncio
from http.client import HTTPException

import msgspec

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Delta
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.stream import Stream
from devsynthd.upstream.transport_errors import SizeLimit, silent, too_large
from devsynthd.upstream.waits import Waits
from devsynthd.wire.errors import DevsynthError

ANSWER_LIMIT = SizeLimit(64 * 2**20, "in one answer", "Set max_tokens, or a smaller one.")
WHOLE_LIMIT = msgspec.structs.replace(ANSWER_LIMIT, max_bytes=32 * 2**20)
"""Of one that is not streamed, in which a word does not take hundreds of bytes."""


class Reading:
    """One answer being read, from *stream* to *relay*, for as long as there is room in there.

    *address* is what the server is called. A step reads what fits into *buffer*, which others may
    use in between, and no more, so that all get their turn.
    """

    def __init__(
        self,
        stream: Stream,
        answer: Answer,
        relay: Relay[Delta],
        waits: Waits,
        address: str,
        buffer: memoryview,
    ) -> None:
        self._stream, self._answer, self._relay = stream, answer, relay
        self._waits, self._address, self._buffer = waits, address, buffer
        self._loop = asyncio.get_running_loop()
        self._is_over: asyncio.Future[None] = self._loop.create_future()
        self._error: BaseException | None = None
        self._listens = self._paused = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._size_bytes = 0

    async def run(self) -> None:
        """Read the answer to its end.

        Raises:
            DevsynthError: The answer says that it failed, or it is silent, or too large.
            OSError: The connection broke.
            HTTPException: What comes is not HTTP, or ends before its end.
        """
        self._relay.on_room = self._go_on
        self._step()
        try:
            await self._is_over
        finally:
            self._stop()
            self._relay.on_room = lambda: None
        if self._error is not None:
            error, self._error = self._error, None
            try:
                raise error
            finally:
                del error  # which refers to this frame

    def give_up(self, error: DevsynthError) -> None:
        """End it with *error*."""
        self._end(error)

    def _step(self) -> None:
        if self._paused or self._is_over.done():
            return
        try:
            self._read()
        except (DevsynthError, OSError, HTTPException) as exc:
            if self._answer.finished and not isinstance(exc, DevsynthError):
                self._end()  # all that counts is there
            else:
                self._end(exc.with_traceback(None))  # which would refer to what refers to it
        except Exception as exc:  # noqa: BLE001 - a fault in one answer must not end the daemon
            self._end(exc)

    def _read(self) -> None:
        if self._answer.finished and self._waits.left_s() <= 0:
            self._end()
            return
        data = self._stream.read(self._buffer)
        if data:
            self._take(data)
        size_bytes = max(self._size_bytes, self._stream.taken_bytes)  # as compressed, if it is
        if size_bytes > ANSWER_LIMIT.max_bytes and not self._answer.done:
            raise too_large(self._address, ANSWER_LIMIT)
        if self._stream.ended:
            self._end()
        elif self._relay.full:
            self._pause()
        else:
            self._await_more()

    def _take(self, data: bytes) -> None:
        answer = self._answer
        if answer.done:
            return
        self._size_bytes += len(data)
        deltas = answer.feed(data)
        if deltas:
            self._relay.put(deltas)
        if answer.failure is not None:
            raise answer.failure
        self._waits.came(adds=bool(deltas))

    # Waiting -------------------------------------------------------------------------------

    def _await_more(self) -> None:
        if not self._listens:
            self._listens = True
            self._loop.add_reader(self._stream.fileno(), self._step)
        if self._stream.may_have_more:
            self._loop.call_soon(self._step)
        # A timer that goes off too early is set again; only one that would be late is replaced.
        if self._timer is None or self._waits.due < self._timer_due:
            self._set_timer()

    def _pause(self) -> None:
        """Read no more, and wait for nothing: TCP slows the server down."""
        self._paused = True
        self._stop()

    def _go_on(self) -> None:
        if self._paused:
            self._paused = False
            self._waits.resumed()
            self._await_more()

    def _stop(self) -> None:
        if self._listens:
            self._listens = False
            self._loop.remove_reader(self._stream.fileno())
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._waits.due
        self._timer = self._loop.call_later(max(self._waits.left_s(), 0), self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._waits.left_s() > 0:
            self._set_timer()
        elif self._answer.finished:
            self._end()
        else:
            self._end(silent(self._address, self._waits.patience()))

    def _end(self, error: BaseException | None = None) -> None:
        if not self._is_over.done():
            self._error = error
            self._is_over.set_result(None)
            self._stop()
