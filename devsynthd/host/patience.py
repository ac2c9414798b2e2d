"""How long the daemon waits for whoever reads its log: hardly, and once only."""

from types import TracebackType

SEND_S = 0.05
"""What one line may wait: long enough for a busy reader, short for those who wait behind it."""


class Patience:
    """Whether the next line may wait for its reader.

    It may not while the last one has waited in vain: then the event loop stands still for 50 ms
    once, and not at each line. Used as a block around an attempt to write.
    """

    def __init__(self) -> None:
        self._may_wait = True

    def __enter__(self) -> bool:
        return self._may_wait

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._may_wait = not isinstance(exc, BlockingIOError)
