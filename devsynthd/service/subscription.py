"""One reader of events: what it is sent, what waits for it, and what it has missed."""

from collections import deque
from collections.abc import Callable

from msgspec import Raw

from devsynthd.service.call import Call
from devsynthd.wire.codec import Encoding
from devsynthd.wire.events import AnyNews
from devsynthd.wire.replies import Event
from devsynthd.wire.requests import Topic

MAX_BACKLOG_EVENTS = 1024
MAX_BACKLOG_BYTES = 4 * 2**20

_OVERHEAD_BYTES = 256
"""What an event takes besides its data, roughly: they must count where that is small."""

Encode = Callable[[AnyNews, Encoding], Raw]


class News:
    """Something to tell, encoded once for all who read the same encoding."""

    def __init__(
        self, topic: Topic, time: float, data: AnyNews, encode: Encode, *, snapshot: bool
    ) -> None:
        self.topic: Topic = topic
        self.time, self.snapshot = time, snapshot
        self._data, self._encode = data, encode
        self._raws: dict[Encoding, Raw] = {}

    def raw(self, encoding: Encoding) -> Raw:
        """Return what it tells in *encoding*."""
        raw = self._raws.get(encoding)
        if raw is None:
            raw = self._raws[encoding] = self._encode(self._data, encoding)
        return raw


class Subscription:
    """Sends the client of *call* the news of *topics*, as fast as it reads.

    While it does not read, they wait here, up to a bound. What finds no room is counted by topic,
    and so is all that follows it: once the client has read what waits, it gets a fresh snapshot of
    each such topic, with the count. Lines of the log have no snapshot: there the next line that
    finds room has the count. The first snapshots, too, are taken when the client reads: at once, as
    a rule.

    *snapshot* makes a snapshot of a topic.
    """

    def __init__(
        self, call: Call, topics: tuple[Topic, ...], snapshot: Callable[[Topic], News]
    ) -> None:
        self.call, self.topics = call, topics
        self._snapshot = snapshot
        self._backlog: deque[tuple[News, int, int]] = deque()  # with what was missed, and its size
        self.backlog_bytes = 0
        # Topics whose next event is a snapshot, and what was missed of them before it.
        self._due: dict[Topic, int] = {topic: 0 for topic in topics if topic != "log"}
        self._missed_lines = 0

    def begin(self) -> None:
        """Send the snapshots, and from now on what waits whenever the client reads on."""
        self.call.on_writable = self._go_on
        self._go_on()

    def tell(self, news: News) -> None:
        """Send *news*, now or when the client reads on, or count it."""
        topic = news.topic
        if topic in self._due:
            self._due[topic] += 1
        elif not self._backlog and self.call.client.writable:
            self._send(news, self._missed_before(topic))
        elif self._has_room(news):
            self._keep(news, self._missed_before(topic))
        elif topic == "log":
            self._missed_lines += 1
        else:
            self._due[topic] = 1

    def finish(self) -> None:
        """Send all that waits, to a slow client as well: its last reply comes now."""
        self.call.on_writable = lambda: None
        self._go_on(anyway=True)

    def _go_on(self, *, anyway: bool = False) -> None:
        client = self.call.client
        while self._backlog and (anyway or client.writable):
            news, missed, size = self._backlog.popleft()
            self.backlog_bytes -= size
            self._send(news, missed)
        for topic in list(self._due):
            if not (anyway or client.writable):
                return
            news = self._snapshot(topic)
            self._send(news, self._due.pop(topic))

    def _missed_before(self, topic: Topic) -> int:
        if topic != "log":
            return 0
        missed, self._missed_lines = self._missed_lines, 0
        return missed

    def _has_room(self, news: News) -> bool:
        return (
            len(self._backlog) < MAX_BACKLOG_EVENTS
            and self.backlog_bytes + self._size(news) <= MAX_BACKLOG_BYTES
        )

    def _keep(self, news: News, missed: int) -> None:
        size = self._size(news)
        self._backlog.append((news, missed, size))
        self.backlog_bytes += size

    def _size(self, news: News) -> int:
        return len(news.raw(self.call.envelope.encoding)) + _OVERHEAD_BYTES

    def _send(self, news: News, missed: int) -> None:
        envelope = self.call.envelope
        envelope.send(
            Event(
                id=self.call.id,
                topic=news.topic,
                time=news.time,
                snapshot=news.snapshot,
                missed=missed,
                data=news.raw(envelope.encoding),
            )
        )
