"""What a slow reader finds: all of it, or what it has missed, in a bounded space."""

import msgspec

from devsynthctl.unread import MAX_UNREAD_BYTES, Unread
from devsynthd.wire.replies import Chunk, Event, ReceivedResult
from devsynthd.wire.requests import Topic

QUARTER = MAX_UNREAD_BYTES // 4


def event(topic: Topic, time: float, missed: int = 0) -> Event:
    data = msgspec.Raw(msgspec.msgpack.encode(None))
    return Event(id=1, topic=topic, time=time, snapshot=False, missed=missed, data=data)


def test_what_is_read_in_time_is_all_there() -> None:
    unread = Unread()
    for seq in range(3):
        assert unread.put(Chunk(id=1, seq=seq), QUARTER)

    assert [unread.take() for _ in range(3)] == [Chunk(id=1, seq=seq) for seq in range(3)]
    assert not unread


def test_an_answer_that_is_not_read_is_given_up_but_its_end_is_taken() -> None:
    unread = Unread()
    taken = [unread.put(Chunk(id=1, seq=seq), QUARTER) for seq in range(6)]
    end = ReceivedResult(id=1, result=msgspec.Raw(b"\xc0"))

    assert taken == [True] * 4 + [False] * 2
    assert unread.put(end, QUARTER)
    assert [unread.take() for _ in range(5)][-1] is end


def test_the_oldest_events_give_way_and_are_counted_by_topic() -> None:
    unread = Unread()
    for number in range(8):
        assert unread.put(event("log" if number % 2 else "models", number), QUARTER)

    left = []
    while unread:
        taken = unread.take()
        assert isinstance(taken, Event)
        left.append((taken.topic, taken.time, taken.missed))

    assert left == [("models", 4, 2), ("log", 5, 2), ("models", 6, 0), ("log", 7, 0)]


def test_what_the_daemon_has_counted_is_added() -> None:
    unread = Unread()
    for number in range(6):
        unread.put(event("log", number, missed=10), QUARTER)

    taken = unread.take()

    assert isinstance(taken, Event)
    assert (taken.time, taken.missed) == (2, 10 + 2 * 11)
