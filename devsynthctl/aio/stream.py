"""An answer while it comes, for asyncio."""

from typing import Self

from msgspec import Raw

from devsynthctl.aio.call import Call
from devsynthctl.aio.held import AsyncHeld
from devsynthctl.call import OnProgress
from devsynthctl.gathered import Gathered
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Chunk, Progress
from devsynthd.wire.results import Completion


class AsyncStream(AsyncHeld):
    """Iterates over the chunks of one answer; closing or dropping it early cancels the request.

    The request is sent when the stream is first awaited, entered or iterated::

        async for chunk in client.stream("hi"): ...
        async with client.stream("hi") as stream: ...
        stream = await client.stream("hi")

    One task reads it; a task that is cancelled while it waits for a chunk cancels the request.
    Chunks are taken in while nobody reads, so that a slow reader holds up no other request; if more
    than 16 MiB of them wait, the request is cancelled, and the reader gets `Incomplete` after them.

    Errors carry the text that has come in ``details["text"]``.
    """

    def __init__(self, call: Call, on_progress: OnProgress | None = None) -> None:
        super().__init__(call)
        self._on_progress = on_progress
        self._gathered = Gathered()

    @property
    def raw(self) -> Raw:
        """The result as it came, in MessagePack; as `result` otherwise."""
        return self._gathered.raw

    @property
    def result(self) -> Completion:
        """The whole answer, once all chunks are read.

        Raises:
            RuntimeError: They are not, or the answer failed.
        """
        return self._gathered.result

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Chunk:
        if self._is_over:
            raise StopAsyncIteration
        self._call.require_free()
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except DevsynthError as exc:
            if self._is_over:  # another task has closed it
                raise StopAsyncIteration from None
            self._drop()
            exc.details.setdefault("text", self._gathered.text)
            raise
        except BaseException:
            self._drop()
            raise

    def cancel(self) -> None:
        """Ask the daemon to end it: whoever reads it gets `Cancelled`, with the text so far."""
        self._call.ask_to_cancel()

    async def _next(self) -> Chunk:
        while isinstance(reply := await self._call.next(), Progress):
            if self._on_progress:
                self._on_progress(reply)
        chunk = self._gathered.take(reply)
        if chunk is None:
            self._is_over = True
            self._call.close()
            raise StopAsyncIteration
        return chunk
