"""An answer while it comes."""

from typing import Self

from msgspec import Raw

from devsynthctl.call import Call, OnProgress
from devsynthctl.gathered import Gathered
from devsynthctl.held import Held
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Chunk, Progress
from devsynthd.wire.results import Completion


class Stream(Held):
    """Iterates over the chunks of one answer; closing it early cancels the request.

    To be read by one thread at a time; others may cancel it, close it, which ends the iteration,
    and make other requests of the same client. Errors carry the text that has come in
    ``details["text"]``. *on_progress* is told how far the request is, on the thread that iterates.
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

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        if self._is_over:
            raise StopIteration
        try:
            while isinstance(reply := self._call.next(), Progress):
                if self._on_progress:
                    self._on_progress(reply)
            chunk = self._gathered.take(reply)
        except DevsynthError as exc:
            if self._is_over:  # another thread has closed it
                raise StopIteration from None
            self.close()
            exc.details.setdefault("text", self._gathered.text)
            raise
        except BaseException:
            self.close()
            raise
        if chunk is None:
            self._is_over = True
            self._call.close()
            raise StopIteration
        return chunk

    def cancel(self) -> None:
        """Ask the daemon to end it: whoever reads it gets `Cancelled`, with the text so far."""
        self._call.ask_to_cancel()
