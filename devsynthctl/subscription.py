"""Events while they come."""

import contextlib
import time
from types import TracebackType
from typing import Self

from devsynthctl.call import Call
from devsynthctl.errors import BadReply
from devsynthctl.news import News
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Event


class Subscription:
    """Iterates over events, until it is closed or the daemon ends it.

    The first one of each topic but ``log`` is a snapshot. To be read by one thread at a time;
    others may close it meanwhile, which ends the iteration. Iterating raises what the daemon ended
    it with: `ShuttingDown`, as a rule, or `ConnectionLost` if it went away.
    """

    def __init__(self, call: Call) -> None:
        self._call = call
        self._is_closed = False

    @property
    def id(self) -> int:
        """The request's id, for `Client.cancel`."""
        return self._call.id

    def wait(self, seconds: float | None = None) -> News | None:
        """Return the next event, or null if none comes within *seconds* (null: no limit).

        Raises:
            DevsynthError: The subscription has ended.
        """
        until = None if seconds is None else time.monotonic() + seconds
        reply = self._call.next(until)
        if reply is None:
            return None
        if not isinstance(reply, Event):
            self._call.cancel()
            raise BadReply(f"a subscription was answered by {type(reply).__name__}")
        return News(reply)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> News:
        try:
            news = None if self._is_closed else self.wait()
        except DevsynthError:
            if not self._is_closed:
                raise
            news = None
        if news is None:
            raise StopIteration
        return news

    def close(self) -> None:
        """End it. Idempotent."""
        if not self._is_closed:
            self._is_closed = True
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
        if hasattr(self, "_is_closed"):
            with contextlib.suppress(Exception):
                self.close()
