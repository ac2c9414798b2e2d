"""The topic ``requests``: what becomes of each request that is under way."""

import asyncio
from collections.abc import Callable

from devsynthd.service.call import Call
from devsynthd.service.events import Events
from devsynthd.service.register import Register
from devsynthd.wire.events import RequestsNews

MAX_MOVES = 64
"""Places in the queue that are told before other work of the event loop has its turn."""


class RequestNews:
    """Tells each state of a request, and each place that it has in the queue.

    A request that is answered at once is never told of. The event that tells its end comes after
    its own answer has been sent. *position* returns the place of a call that is queued.
    """

    def __init__(
        self, events: Events, register: Register, position: Callable[[Call], int | None]
    ) -> None:
        self._events, self._register, self._position = events, register, position
        self._will_look = False

    def changed(self, call: Call) -> None:
        """Tell how *call* is now."""
        if call.answered and call.is_subscription:
            self._events.leave(call)
        if self._events.watched("requests"):
            self._tell(call)

    def queue_moved(self) -> None:
        """Tell the places that are others now, once this pass of the event loop is over."""
        if not self._will_look and self._events.watched("requests"):
            self._will_look = True
            asyncio.get_running_loop().call_soon(self._look)

    def now(self) -> RequestsNews:
        """Return all requests that are under way, and tell first what has not been told of them."""
        if self._will_look:
            self._look(most=None)
        calls = self._register.all()
        for call in calls:
            call.told_position = self._position(call)
        return RequestsNews(requests=tuple(call.info(call.told_position) for call in calls))

    def _look(self, most: int | None = MAX_MOVES) -> None:
        self._will_look = False
        moves = 0
        for call in self._register.all():
            if call.state != "queued":
                continue
            position = self._position(call)
            if position is None or position == call.told_position:
                continue
            if moves == most:
                self.queue_moved()
                return
            moves += 1
            self._tell(call)

    def _tell(self, call: Call) -> None:
        call.told_position = self._position(call)
        news = RequestsNews(requests=(call.info(call.told_position),))
        self._events.publish("requests", news)
