"""What a reader of events gets that reads, reads late, or reads no more."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.service.subscription import (
    MAX_BACKLOG_BYTES,
    MAX_BACKLOG_EVENTS,
    News,
    Subscription,
)
from devsynthd.wire.events import AnyNews, ConfigNews, LogNews, RequestsNews, encode_news
from devsynthd.wire.requests import Topic
from tests.unit.service.watching import Watcher, call_of


class Room:
    """A subscription to three topics, each of which is a number that only grows."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher
        self.now: dict[Topic, int] = {"config": 0, "requests": 0, "log": 0}
        self.subscription = Subscription(call_of(watcher), tuple(self.now), self.snapshot)

    def snapshot(self, topic: Topic) -> News:
        return News(topic, 0, data_of(topic, self.now[topic]), encode_news, snapshot=True)

    def grow(self, topic: Topic, padding: str = "") -> None:
        self.now[topic] += 1
        data = data_of(topic, self.now[topic], padding)
        self.subscription.tell(News(topic, 0, data, encode_news, snapshot=False))

    def read(self, room: float = float("inf")) -> list[tuple[str, bool, int, Any]]:
        """Return what it was sent, once it can be sent *room* messages."""
        self.watcher.room = room
        self.subscription.call.on_writable()
        return [
            (each["topic"], each["snapshot"], each["missed"], number_in(each))
            for each in self.watcher.replies()
        ]


def data_of(topic: Topic, number: int, padding: str = "") -> AnyNews:
    if topic == "log":
        return LogNews(level="info", message=padding, fields={"n": number})
    if topic == "requests":
        return RequestsNews(requests=())
    return ConfigNews(config_generation=number, changed=(padding,), valid=True, error=None)


def number_in(event: dict[str, Any]) -> int | None:
    data = event["data"]
    number: int | None = data.get("config_generation", data.get("fields", {}).get("n"))
    return number


def begun(watcher: Watcher | None = None) -> Room:
    room = Room(watcher or Watcher())
    room.subscription.begin()
    return room


def test_a_reader_gets_snapshots_and_then_each_event() -> None:
    room = begun()
    room.grow("config")
    room.grow("log")

    assert room.read() == [
        ("config", True, 0, 0),
        ("requests", True, 0, None),
        ("config", False, 0, 1),
        ("log", False, 0, 1),
    ]


def test_what_a_slow_reader_is_sent_later_is_in_order_and_whole() -> None:
    room = begun()
    room.read()
    room.watcher.room = 0
    for _ in range(10):
        room.grow("config")
        room.grow("log")

    assert room.read(room=3) == [
        ("config", False, 0, 1),
        ("log", False, 0, 1),
        ("config", False, 0, 2),
    ]
    room.grow("log")  # goes behind what waits
    rest = room.read()
    assert rest[-1] == ("log", False, 0, 11)
    assert [each[3] for each in rest if each[0] == "config"] == list(range(3, 11))
    assert room.subscription.backlog_bytes == 0


def test_what_finds_no_room_is_counted_and_made_up_for_by_a_snapshot() -> None:
    room = begun()
    room.read()
    room.watcher.room = 0
    for _ in range(MAX_BACKLOG_EVENTS + 5):
        room.grow("config")
    room.grow("requests")
    room.grow("log")
    room.grow("log")

    told = room.read()

    waited, made_up = told[:MAX_BACKLOG_EVENTS], told[MAX_BACKLOG_EVENTS:]
    assert [each[3] for each in waited] == list(range(1, MAX_BACKLOG_EVENTS + 1))
    assert made_up == [
        ("config", True, 5, MAX_BACKLOG_EVENTS + 5),
        ("requests", True, 1, None),
    ]
    room.grow("log")
    room.grow("log")
    assert room.read() == [("log", False, 2, 3), ("log", False, 0, 4)]


def test_once_one_event_is_dropped_all_of_its_topic_are_until_the_snapshot() -> None:
    room = begun()
    room.read()
    room.watcher.room = 0
    room.grow("config", "x" * MAX_BACKLOG_BYTES)  # alone too large
    room.grow("config")  # would fit

    assert room.read(room=1) == [("config", True, 2, 2)]
    room.watcher.room = 0
    room.grow("config")
    assert room.read() == [("config", False, 0, 3)]


@pytest.mark.parametrize("padding", ["", "x" * 100_000])
def test_what_waits_is_bounded_by_number_and_bytes(padding: str) -> None:
    room = begun()
    room.read()
    room.watcher.room = 0
    for _ in range(2 * MAX_BACKLOG_EVENTS):
        room.grow("config", padding)
        room.grow("log", padding)

    assert room.subscription.backlog_bytes <= MAX_BACKLOG_BYTES
    assert len(room.read()) <= MAX_BACKLOG_EVENTS + 1


def test_the_first_snapshot_waits_for_a_client_that_does_not_read_yet() -> None:
    room = begun(Watcher(room=0))
    room.grow("config")

    assert room.read() == [("config", True, 1, 1), ("requests", True, 0, None)]


def test_what_waits_goes_out_before_the_end() -> None:
    room = begun()
    room.read()
    room.watcher.room = 0
    for _ in range(MAX_BACKLOG_EVENTS + 1):
        room.grow("config")

    room.subscription.finish()

    told = room.read()
    assert len(told) == MAX_BACKLOG_EVENTS + 1
    assert told[-1] == ("config", True, 1, MAX_BACKLOG_EVENTS + 1)


@given(
    st.lists(
        st.one_of(
            st.sampled_from(["config", "log"]).map(lambda topic: (topic, 1)),
            st.tuples(st.just("config"), st.integers(1, 700)),
            st.tuples(st.just("log"), st.integers(1, 700)),
            st.tuples(st.just("read"), st.integers(0, 900)),
        ),
        max_size=30,
    )
)
def test_however_a_client_reads_it_knows_what_it_missed(steps: list[tuple[Any, int]]) -> None:
    """Each event is told once or counted once, in order, and a gap ends with how it is now."""
    room = begun()
    told = []
    for what, count in steps:
        if what == "read":
            told += room.read(room=count)
        else:
            for _ in range(count):
                room.grow(what)
    told += room.read()
    room.grow("log")
    told += room.read()

    for topic in ("config", "log"):
        reached = 0
        for _, snapshot, missed, number in [each for each in told if each[0] == topic]:
            expected = reached + missed if snapshot else reached + missed + 1
            assert number == expected
            assert bool(missed) <= (snapshot or topic == "log")
            reached = number
        assert reached == room.now[topic]
