"""``subscribe``: events until somebody ends it."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Never

from devsynthd.service.call import Call
from devsynthd.service.events import TOPICS, Events
from devsynthd.service.register import Register
from devsynthd.service.subscription import Subscription
from devsynthd.wire.errors import QueueFull
from devsynthd.wire.requests import Subscribe, Topic

BY_DEFAULT: tuple[Topic, ...] = tuple(topic for topic in TOPICS if topic != "log")

MAX_OF_ONE_CLIENT = 64


class SubscribingService:
    """Answers ``subscribe``: with an error in any case, when it ends."""

    def __init__(self, events: Events, register: Register) -> None:
        self._events, self._register = events, register

    def subscribe(self, request: Subscribe, call: Call) -> Coroutine[Any, Any, Never]:
        """Send the snapshots and what comes after them; return what lasts until it is ended.

        Raises:
            QueueFull: The client has so many subscriptions that it must be a mistake.
        """
        calls = self._register.of(call.client)
        own = sum(each.is_subscription and not each.is_ending for each in calls)
        if own >= MAX_OF_ONE_CLIENT:
            raise QueueFull(
                f"this client has {own} subscriptions already",
                hint="one has all topics that it asks for: cancel those that nobody reads",
            )
        now = call.clock()
        call.ledger.sent(now)
        call.ledger.heard(now)
        self._register.add(call)  # first: its own snapshot tells of it too
        topics = BY_DEFAULT if request.topics is None else tuple(dict.fromkeys(request.topics))
        return _lasting(self._events.enter(call, topics))


async def _lasting(subscription: Subscription) -> Never:
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        subscription.finish()
    raise AssertionError("nothing but its end is waited for")
