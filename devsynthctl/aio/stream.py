"""An answer while it comes, for asyncio."""

import contextlib
from collections.abc import Generator
from types import TracebackType
from typing import Any, Self

from msgspec import Raw

from devsynthctl.aio.call import Call
from devsynthctl.call import OnProgress, read_result
from devsynthctl.errors import BadReply
from devsynthd.wire.errors import DevsynthError, Incomplete
from devsynthd.wire.replies import Chunk, Progress, ReceivedResult
from devsynthd.wire.results import Completion


class AsyncStream:
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
        self._call, self._on_progress = call, on_progress
        self._seq = 0
        self._texts: list[str] = []
        self._over = False
        self._raw: Raw | None = None

    @property
    def id(self) -> int:
        """The request's id, for `AsyncClient.cancel`."""
        return self._call.id

    @property
    def raw(self) -> Raw:
        """The result as it came, in MessagePack; as `result` otherwise."""
        if self._raw is None:
            raise RuntimeError("the stream has no result before its end")
        return self._raw

    @property
    def result(self) -> Completion:
        """The whole answer, once all chunks are read.

        Raises:
            RuntimeError: They are not, or the answer failed.
        """
        return read_result(self.raw, Completion)

    def __await__(self) -> Generator[Any, None, Self]:
        return self.__aenter__().__await__()

    async def __aenter__(self) -> Self:
        if not self._over:
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

    async def __anext__(self) -> Chunk:
        if self._over:
            raise StopAsyncIteration
        self._call.require_free()
        try:
            return await self._next()
        except StopAsyncIteration:
            raise
        except DevsynthError as exc:
            if self._over:  # another task has closed it
                raise StopAsyncIteration from None
            self._drop()
            exc.details.setdefault("text", "".join(self._texts))
            raise
        except BaseException:
            self._drop()
            raise

    def cancel(self) -> None:
        """Ask the daemon to end it: whoever reads it gets `Cancelled`, with the text so far."""
        self._call.ask_to_cancel()

    async def aclose(self) -> None:
        """Cancel the request, unless it has ended; no more of it can be read. Idempotent."""
        self._drop()

    def __del__(self) -> None:
        # Leaving a loop with `break` drops the stream, and nobody will read the rest.
        if not getattr(self, "_over", True):
            with contextlib.suppress(Exception):
                self._call.cancel_soon()

    def _drop(self) -> None:
        if not self._over:
            self._over = True
            self._call.cancel()

    async def _next(self) -> Chunk:
        while isinstance(reply := await self._call.next(), Progress):
            if self._on_progress:
                self._on_progress(reply)
        if isinstance(reply, ReceivedResult):
            self._over, self._raw = True, reply.result
            self._call.close()
            raise StopAsyncIteration
        if not isinstance(reply, Chunk):
            raise BadReply(f"a generation was answered by {type(reply).__name__}")
        if reply.seq != self._seq:
            raise Incomplete(
                f"a part of the answer was lost: chunk {self._seq} did not come", hint="ask again"
            )
        self._seq += 1
        self._texts.append(reply.text)
        return reply
