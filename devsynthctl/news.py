"""Events as a program gets them."""

from functools import cached_property

from msgspec import Raw

from devsynthctl.call import read_result
from devsynthd.wire.events import NEWS_TYPES, AnyNews
from devsynthd.wire.replies import Event
from devsynthd.wire.requests import Topic


class News:
    """An event: what is new about a topic, or in a snapshot how it is.

    Attributes:
        topic: What it is about.
        time: When it happened, Unix time in seconds.
        snapshot: Whether it tells how everything is, not what has changed.
        missed: How many events of this topic were left out before it: its reader was slow.
        raw: Its data as it came, in MessagePack.
    """

    def __init__(self, event: Event) -> None:
        self.topic: Topic = event.topic
        self.time, self.snapshot, self.missed = event.time, event.snapshot, event.missed
        self.raw: Raw = event.data

    @cached_property
    def data(self) -> AnyNews:
        """What it tells: a struct of `devsynthd.wire.events`, by the topic.

        Raises:
            BadReply: It is not in the protocol.
        """
        return read_result(self.raw, NEWS_TYPES[self.topic])

    def __repr__(self) -> str:
        return f"News(topic={self.topic!r}, snapshot={self.snapshot}, missed={self.missed})"
