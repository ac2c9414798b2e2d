"""Peers that begin messages and never end them: memory has a bound, and who waits is spared."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from devsynthd.transport.shedding import Shedding
from tests.support.raw_peer import MORE, RawPeer
from tests.transport.listening import Recorder, client, greeting, routing

PARTS = bytes((MORE, 1, 0)) * 10_000
"""Each takes three bytes on the wire, and 64 in libzmq."""


def send_parts_until_hung_up_on(path: Path) -> int:
    """Return how many parts of one message were sent."""
    with RawPeer.ready(path) as peer:
        sent = 0
        while peer.say(PARTS):
            sent += 10_000
    return sent


def test_a_message_of_endless_parts_is_not_waited_for(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        recorder = Recorder()
        with routing(recorder, path, max_growth_bytes=64 * 2**20), client(path) as waiting:
            peer = await greeting(recorder, waiting)
            recorder.waiting.add(peer)
            sent = await asyncio.to_thread(send_parts_until_hung_up_on, path)
            assert sent * 64 > 48 * 2**20, "it was hung up on for something else"
            assert await greeting(recorder, waiting) is peer
            assert recorder.departures.empty()

    asyncio.run(scenario())


class World:
    """Memory in use and connections, as a test says; notes who was hung up on."""

    def __init__(self) -> None:
        self.resident_bytes, self.connections = 100, 1
        self.hung_up: list[bool] = []
        self.looks: list[Callable[[], None]] = []

    def hang_up(self, spares_waiting: bool) -> int:  # noqa: FBT001 - as it is called
        self.hung_up.append(spares_waiting)
        return 1

    def shedding(self) -> Shedding:
        return Shedding(
            lambda: self.resident_bytes,
            lambda: self.connections,
            self.hang_up,
            max_growth_bytes=50,
            call_later=lambda _delay_s, look: self.looks.append(look),
        )

    def look(self) -> None:
        self.looks.pop()()


def test_first_who_waits_for_nothing_then_everybody_and_then_it_is_the_daemons_own() -> None:
    world = World()
    world.shedding().watch()
    world.look()
    assert world.hung_up == []

    world.resident_bytes = 150
    world.look()
    assert world.hung_up == [True]
    world.look()
    assert world.hung_up == [True, False]
    for _ in range(5):
        world.look()
    assert world.hung_up == [True, False]

    world.resident_bytes = 200
    world.look()
    assert world.hung_up == [True, False, True]


def test_if_that_helped_nobody_else_is_hung_up_on() -> None:
    world = World()
    world.shedding().watch()
    world.resident_bytes = 150
    world.look()
    world.resident_bytes = 101
    world.look()
    world.resident_bytes = 150
    world.look()
    assert world.hung_up == [True, True]


def test_without_connections_nothing_is_looked_at() -> None:
    world = World()
    shedding = world.shedding()
    shedding.watch()
    shedding.watch()
    assert len(world.looks) == 1
    world.connections = 0
    world.look()
    assert world.looks == []
    shedding.watch()
    assert len(world.looks) == 1
