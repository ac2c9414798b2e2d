"""Events while they come."""

import time
from typing import Self

from devsynthctl.errors import BadReply
from devsynthctl.held import Held
from devsynthctl.news import News
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Event


class Subscription(Held):
    """Iterates over events, until it is closed or the daemon ends it.

    The first one of each topic but ``log`` is a snapshot. To be read by one thread at a time;
    others may close it meanwhile, which ends the iteration. Iterating raises what the daemon ended
    it with: `ShuttingDown`, as a rule, or `ConnectionLost` if it went away.
    """

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
            news = None if self._is_over else self.wait()
        except DevsynthError:
            if not self._is_over:
                raise
            news = None
        if news is None:
            raise StopIteration
        return news
