"""What happens in the daemon, told to whoever has subscribed to it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import get_args

from devsynthd.service.call import Call
from devsynthd.service.log_lines import LogLines
from devsynthd.service.subscription import Encode, News, Subscription
from devsynthd.wire.events import AnyNews, encode_news
from devsynthd.wire.requests import Topic

TOPICS: tuple[Topic, ...] = get_args(Topic)


class Events:
    """Passes news on to subscriptions. All of it happens on the event loop, and at once.

    Without a subscription to a topic, news of it cost a look-up. The events of a topic come in the
    order in which things happened.

    Args:
        snapshots: Return how each topic stands now; ``log`` has none.
        log: The lines of the log, which are listened to only while somebody wants them.
        encode: Returns data as the encoding of a reply has it; called once an event and encoding.
        wall: Unix time in seconds.
    """

    def __init__(
        self,
        snapshots: Mapping[Topic, Callable[[], AnyNews]],
        log: LogLines,
        *,
        encode: Encode = encode_news,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._snapshots, self._log = snapshots, log
        self._encode, self._wall = encode, wall
        # Tuples, since one may be replaced while it is gone through.
        self._watching: dict[Topic, tuple[Subscription, ...]] = dict.fromkeys(TOPICS, ())
        self._outdated: dict[Topic, None] = {}

    # Who is told ---------------------------------------------------------------------------

    def enter(self, call: Call, topics: tuple[Topic, ...]) -> Subscription:
        """Send the client of *call* a snapshot of each of *topics*, and their news from now on."""
        subscription = Subscription(call, topics, self.snapshot)
        subscription.begin()  # first: what a snapshot has others told of is no news to this one
        for topic in topics:
            self._watching[topic] += (subscription,)
        if "log" in topics:
            self._log.listen(self._line)
        return subscription

    def leave(self, call: Call) -> None:
        """Tell *call* nothing more, if it was told anything."""
        for topic, watching in self._watching.items():
            self._watching[topic] = tuple(each for each in watching if each.call is not call)
        if not self.watched("log"):
            self._log.stop()

    def watched(self, topic: Topic) -> bool:
        """Return whether anybody is told of *topic*."""
        return bool(self._watching[topic])

    # What is told --------------------------------------------------------------------------

    def publish(self, topic: Topic, data: AnyNews, happened_at: float | None = None) -> None:
        """Tell *data*; *happened_at* is Unix time, by default now."""
        if not self._watching[topic]:
            return
        at = self._wall() if happened_at is None else happened_at
        news = News(topic, at, data, self._encode, snapshot=False)
        for subscription in self._watching[topic]:
            subscription.tell(news)

    def outdated(self, topic: Topic) -> None:
        """Tell how *topic* stands once this pass of the event loop is over.

        A change of the settings moves the catalog in several steps: nobody sees a half of it.
        """
        if self._watching[topic]:
            if not self._outdated:
                asyncio.get_running_loop().call_soon(self._tell_outdated)
            self._outdated[topic] = None

    def snapshot(self, topic: Topic) -> News:
        """Return how *topic* stands, which no event that has yet to come is older than."""
        self._tell_outdated()
        return News(topic, self._wall(), self._snapshots[topic](), self._encode, snapshot=True)

    def _tell_outdated(self) -> None:
        outdated, self._outdated = self._outdated, {}
        for topic in outdated:
            self.publish(topic, self._snapshots[topic]())

    def _line(self, line: AnyNews, written_at: float) -> None:
        self.publish("log", line, written_at)
