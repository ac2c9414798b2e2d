"""An answer while it comes."""

import contextlib
from types import TracebackType
from typing import Self

from msgspec import Raw

from devsynthctl.attempts import Answer
from devsynthctl.call import Call, OnProgress, read_result
from devsynthctl.errors import BadReply
from devsynthd.wire.errors import DevsynthError, Incomplete
from devsynthd.wire.replies import Chunk, Event, Progress, ReceivedResult
from devsynthd.wire.results import Completion


class Stream:
    """Iterates over the chunks of one answer; closing it early cancels the request.

    To be read by one thread at a time; others may cancel it, and make other requests of the same
    client. Errors carry the text that has come in ``details["text"]``. *on_progress* is told how
    far the request is, on the thread that iterates.
    """

    def __init__(self, call: Call, on_progress: OnProgress | None = None) -> None:
        self._call, self._on_progress = call, on_progress
        self._seq = 0
        self._texts: list[str] = []
        self._over = False
        self._raw: Raw | None = None

    @property
    def id(self) -> int:
        """The request's id, for `Client.cancel`."""
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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        if self._over:
            raise StopIteration
        while isinstance(reply := self._next_reply(), Progress):
            self._tell(reply)
        if isinstance(reply, ReceivedResult):
            self._over, self._raw = True, reply.result
            self._call.close()
            raise StopIteration
        if isinstance(reply, Event):
            self.close()
            raise BadReply("a generation was answered by an event")
        if reply.seq != self._seq:
            self.close()
            raise Incomplete(
                f"a part of the answer was lost: chunk {self._seq} did not come",
                hint="ask again",
                details={"text": "".join(self._texts)},
            )
        self._seq += 1
        self._texts.append(reply.text)
        return reply

    def cancel(self) -> None:
        """Ask the daemon to end it: whoever reads it gets `Cancelled`, with the text so far."""
        self._call.ask_to_cancel()

    def close(self) -> None:
        """Cancel the request, unless it has ended; no more of it can be read."""
        if not self._over:
            self._over = True
            self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __del__(self) -> None:
        # Leaving a loop with `break` drops the stream, and nobody will read the rest.
        if hasattr(self, "_over"):
            with contextlib.suppress(Exception):
                self.close()

    def _next_reply(self) -> Answer:
        try:
            return self._call.next()
        except DevsynthError as exc:
            self._over = True
            exc.details.setdefault("text", "".join(self._texts))
            raise

    def _tell(self, progress: Progress) -> None:
        try:
            if self._on_progress:
                self._on_progress(progress)
        except BaseException:
            self.close()
            raise
