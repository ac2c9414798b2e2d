"""A request that goes on as long as somebody holds it."""

import contextlib
from types import TracebackType
from typing import Self

from devsynthctl.call import Call


class Held:
    """Ends *call* when it is closed, at the end of a ``with``, or when nobody holds it any more."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_over = False

    @property
    def id(self) -> int:
        """The request's id, for `Client.cancel`."""
        return self._call.id

    def close(self) -> None:
        """Cancel the request, unless it has ended; no more of it can be read. Idempotent."""
        if not self._is_over:
            self._is_over = True
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
        # Leaving a loop with `break` drops it, and nobody will read the rest. It may be half made.
        with contextlib.suppress(Exception):
            self.close()
