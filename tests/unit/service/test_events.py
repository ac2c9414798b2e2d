"""Who is told, how often something is encoded, and what it costs if nobody listens."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from msgspec import msgpack

from devsynthd.host.redaction import Redaction
from devsynthd.service.call import Call
from devsynthd.service.events import Events
from devsynthd.service.log_lines import LogLines
from devsynthd.service.register import Register
from devsynthd.service.request_news import MAX_MOVES, RequestNews
from devsynthd.wire.codec import Encoding
from devsynthd.wire.errors import Cancelled, UpstreamError
from devsynthd.wire.events import ConfigNews, RequestsNews
from devsynthd.wire.requests import Generate, Load, Subscribe
from devsynthd.wire.results import Empty
from tests.unit.service.watching import CountingEncode, Watcher, call_of

NEWS = ConfigNews(config_generation=2, changed=("llm_model",), valid=True, error=None)


class Room:
    """Events of ``config`` and ``requests``; calls are queued in the order of *queue*."""

    def __init__(self) -> None:
        self.encode = CountingEncode()
        self.looks = 0
        self.queue: list[Call] = []
        self.register = Register()
        self.events = Events(
            {"config": self.config, "requests": self.requests_now},
            LogLines(Redaction()),
            encode=self.encode,
            wall=lambda: 7.0,
        )
        self.requests = RequestNews(self.events, self.register, self.position)
        self.register.on_change = self.requests.changed

    def requests_now(self) -> RequestsNews:
        return self.requests.now()

    def config(self) -> ConfigNews:
        self.looks += 1
        return NEWS

    def position(self, call: Call) -> int | None:
        self.looks += 1
        return self.queue.index(call) if call in self.queue else None

    def generate(self, number: int, watcher: Watcher | None = None) -> Call:
        """Return a generation that is under way."""
        call = call_of(watcher or Watcher(), Generate(id=number, prompt="secret"), number=number)
        self.register.add(call)
        return call


def run(test: Callable[[Room], Awaitable[None]]) -> None:
    async def run() -> None:
        await test(Room())

    asyncio.run(run())


def states(watcher: Watcher) -> list[tuple[int, str, int | None]]:
    return [
        (request["request"], request["state"], request["position"])
        for reply in watcher.replies()
        for request in reply["data"]["requests"]
    ]


def test_an_event_is_encoded_once_for_each_encoding_and_reaches_all() -> None:
    async def test(room: Room) -> None:
        watchers = [Watcher() for _ in range(4)]
        encodings = [Encoding.JSON, Encoding.MSGPACK, Encoding.JSON, Encoding.MSGPACK]
        for number, (watcher, encoding) in enumerate(zip(watchers, encodings, strict=True)):
            room.events.enter(call_of(watcher, number=number, encoding=encoding), ("config",))
        room.encode.encodings.clear()

        room.events.publish("config", NEWS)

        assert sorted(room.encode.encodings, key=encodings.index) == encodings[:2]
        for number, (watcher, encoding) in enumerate(zip(watchers, encodings, strict=True)):
            snapshot, event = watcher.replies(encoding)
            assert event == {
                "type": "event",
                "id": number,
                "topic": "config",
                "time": 7.0,
                "snapshot": False,
                "missed": 0,
                "data": {
                    "config_generation": 2,
                    "changed": ["llm_model"],
                    "valid": True,
                    "error": None,
                },
            }
            assert snapshot == event | {"snapshot": True}

    run(test)


@pytest.mark.parametrize("subscribed", [False, True])
def test_what_nobody_watches_costs_nothing(*, subscribed: bool) -> None:
    async def test(room: Room) -> None:
        if subscribed:  # to something else
            room.events.enter(call_of(Watcher()), ("log",))
        call = room.generate(1)
        room.queue.append(call)
        call.changed()
        room.requests.queue_moved()
        room.queue.clear()
        call.enter("waiting")
        call.succeed(Empty())
        room.events.publish("config", NEWS)
        room.events.outdated("config")
        await asyncio.sleep(0)

        assert (room.looks, room.encode.encodings) == (0, [])

    run(test)


def test_who_has_left_is_told_nothing_more() -> None:
    async def test(room: Room) -> None:
        watcher, other = Watcher(), Watcher()
        call = call_of(watcher)
        room.register.add(call)
        room.events.enter(call, ("config", "requests"))
        room.events.enter(call_of(other), ("config",))
        watcher.replies()
        other.replies()

        call.fail(Cancelled("enough"))
        room.events.publish("config", NEWS)
        room.generate(2).enter("waiting")

        (last,) = watcher.replies()
        assert last["type"] == "error"
        assert last["error"]["details"] == {}
        assert len(other.replies()) == 1
        assert not room.events.watched("requests")

    run(test)


def test_several_steps_of_one_change_are_one_event() -> None:
    async def test(room: Room) -> None:
        watcher = Watcher()
        room.events.enter(call_of(watcher), ("config",))
        watcher.replies()

        room.events.outdated("config")
        room.events.outdated("config")
        assert watcher.replies() == []
        await asyncio.sleep(0)
        assert len(watcher.replies()) == 1

        room.events.outdated("config")
        late = Watcher()
        room.events.enter(call_of(late), ("config",))
        await asyncio.sleep(0)
        assert [each["snapshot"] for each in late.replies()] == [True]
        assert len(watcher.replies()) == 1

    run(test)


def test_a_subscription_is_in_its_own_snapshot_and_an_event_for_the_others() -> None:
    async def test(room: Room) -> None:
        first, second = Watcher(), Watcher()
        for number, watcher in enumerate((first, second)):
            call = call_of(watcher, Subscribe(id=9), number=number)
            room.register.add(call)
            room.events.enter(call, ("requests",))

        assert states(first) == [(0, "streaming", None), (1, "streaming", None)]
        assert states(second) == [(0, "streaming", None), (1, "streaming", None)]

    run(test)


def test_each_state_of_a_request_and_each_place_is_told() -> None:
    async def test(room: Room) -> None:
        watcher = Watcher()
        room.events.enter(call_of(watcher), ("requests",))
        first, second = room.generate(1), room.generate(2)
        assert states(watcher) == []  # they have no place yet
        for call in (first, second):
            room.queue.append(call)
            call.changed()
            room.requests.queue_moved()
        assert states(watcher) == [(1, "queued", 0), (2, "queued", 1)]
        await asyncio.sleep(0)
        assert states(watcher) == []

        room.queue.remove(first)
        room.requests.queue_moved()
        first.enter("waiting")
        await asyncio.sleep(0)
        first.succeed(Empty())
        room.queue.remove(second)
        second.fail(UpstreamError("it broke"))

        assert states(watcher) == [
            (1, "waiting", None),
            (2, "queued", 0),
            (1, "done", None),
            (2, "failed", None),
        ]

    run(test)


def test_a_place_that_a_snapshot_tells_is_told_once_to_everybody() -> None:
    async def test(room: Room) -> None:
        first, second, third = Watcher(), Watcher(), Watcher()
        call = room.generate(2)
        room.queue.append(call)
        room.events.enter(call_of(first), ("requests",))
        room.requests.queue_moved()
        await asyncio.sleep(0)
        assert states(first) == [(2, "queued", 0)]

        room.queue.insert(0, call_of(third))
        room.requests.queue_moved()
        room.events.enter(call_of(second), ("requests",))
        await asyncio.sleep(0)

        assert [each["missed"] for each in map(msgpack.decode, first.bodies())] == [0]
        assert [each["missed"] for each in map(msgpack.decode, second.bodies())] == [0]
        assert states(first) == states(second) == [(2, "queued", 1)]

    run(test)


def test_others_have_their_turn_while_a_long_queue_moves() -> None:
    async def test(room: Room) -> None:
        watcher = Watcher()
        room.events.enter(call_of(watcher), ("requests",))
        room.queue = [room.generate(number) for number in range(2 * MAX_MOVES + 1)]
        watcher.replies()

        room.requests.queue_moved()
        counts = []
        for _ in range(4):
            await asyncio.sleep(0)
            counts.append(len(watcher.replies()))

        assert counts == [MAX_MOVES, MAX_MOVES, 1, 0]

    run(test)


def test_an_event_quotes_no_answer_and_no_prompt() -> None:
    async def test(room: Room) -> None:
        watcher = Watcher()
        room.events.enter(call_of(watcher), ("requests",))
        call = room.generate(1)
        call.text.add("secret")
        details = {"text": "secret", "path": "$.a"}
        call.fail(UpstreamError('at $.a: "secret" is no integer', details=details))

        assert all(b"secret" not in body for body in watcher.bodies())
        *_, last = watcher.replies()
        (request,) = last["data"]["requests"]
        assert request["error"] == {
            "code": "upstream_error",
            "message": "the answer does not satisfy `schema`",
        }

    run(test)


def test_what_is_told_of_a_request_begins_with_what_it_does() -> None:
    async def test(room: Room) -> None:
        watcher = Watcher()
        room.events.enter(call_of(watcher), ("requests",))
        watcher.replies()
        call = call_of(Watcher(), Load(id=1, model="m"), number=4)
        room.register.add(call)
        room.register.add(call)

        (event,) = watcher.replies()
        (request,) = event["data"]["requests"]
        assert (request["state"], request["model"], request["op"]) == ("loading", "m", "load")

    run(test)
