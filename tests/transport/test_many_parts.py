"""Messages of more parts than anybody needs: refused, or hung up on, and nobody waits for them."""

import asyncio
import time
from pathlib import Path

import pytest

from devsynthd.host.limits import resident_bytes
from devsynthd.transport.peer import Frames, Peer
from devsynthd.transport.router import MAX_FRAMES
from tests.support.raw_peer import MORE, RawPeer
from tests.transport.listening import Recorder, client, greeting, listening, routing

LIMIT_S = 15.0
MIB = 2**20
PART, LAST = bytes((MORE, 1)) + b"x", bytes((0, 1)) + b"x"


class Echo(Recorder):
    """A listener that answers at once."""

    def received(self, peer: Peer, frames: Frames) -> None:
        super().received(peer, frames)
        peer.send(frames)


class Amid(Recorder):
    """A listener that knows when somebody's first message has begun to be read."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()

    def connected(self, clients: int) -> None:
        super().connected(clients)
        self.begun.set()


def say(path: Path, parts: int, behind: bytes = b"") -> RawPeer:
    """Send one whole message, and *behind* it more; return who did."""
    peer = RawPeer.ready(path)
    peer.say(PART * (parts - 1) + LAST + behind)
    return peer


async def longest_turn_s() -> float:
    """Return how long the loop was busy at a time, at most, until this is cancelled."""
    longest, last = 0.0, time.monotonic()
    try:
        while True:
            await asyncio.sleep(0)
            last, before = time.monotonic(), last
            longest = max(longest, last - before)
    except asyncio.CancelledError:
        return longest


@pytest.mark.timeout(40)
def test_a_million_parts_end_that_connection_only_and_the_loop_goes_on(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> tuple[float, float, float]:
        slowest_s, most_bytes = 0.0, 0
        async with asyncio.timeout(LIMIT_S), listening(path) as recorder:
            with client(path) as bystander:
                other = await greeting(recorder, bystander)
                before_bytes = resident_bytes() or 0
                sent = asyncio.create_task(asyncio.to_thread(say, path, 1_000_000))
                turns = asyncio.create_task(longest_turn_s())
                has_left = False
                while not has_left:  # and once more: what it has sent may still be there
                    has_left = not recorder.departures.empty()
                    began = time.monotonic()
                    assert await greeting(recorder, bystander) is other
                    slowest_s = max(slowest_s, time.monotonic() - began)
                    most_bytes = max(most_bytes, resident_bytes() or 0)
                turns.cancel()
                with await sent as peer:
                    assert await asyncio.to_thread(peer.heard_until_the_end) == b""
                assert recorder.messages.empty()
        return await turns, slowest_s, (most_bytes - before_bytes) / MIB

    # It comes whole or not at all, and before it is dropped nothing behind it can be read.
    turn_s, slowest_s, grown_mib = asyncio.run(scenario())
    assert turn_s < 0.5
    assert slowest_s < 5
    assert grown_mib < 128


@pytest.mark.parametrize("parts", [3, 50, MAX_FRAMES])
def test_of_more_parts_than_two_the_first_the_last_and_their_number_are_told(
    short_dir: Path, parts: int
) -> None:
    async def scenario() -> None:
        async with asyncio.timeout(LIMIT_S), listening(short_dir / "s") as recorder:
            with client(short_dir / "s") as socket:
                peer = await greeting(recorder, socket)
                await socket.send_multipart([b"first", *[b"x"] * (parts - 2), b"last"])
                told = [b"first", *[b""] * (parts - 2), b"last"]
                assert await recorder.messages.get() == (peer, told)
                assert await greeting(recorder, socket) is peer

    asyncio.run(scenario())


@pytest.mark.parametrize("parts", [k * MAX_FRAMES + more for k in (1, 2, 3, 7) for more in (1, 2)])
def test_what_comes_behind_too_many_parts_is_not_taken_for_one(short_dir: Path, parts: int) -> None:
    """The end of the message may be the last part of a turn, or the first."""
    path, recorder = short_dir / "s", Echo()

    async def scenario() -> None:
        with routing(recorder, path), client(path) as bystander:
            for _ in range(3):
                with await asyncio.to_thread(say, path, parts, behind=LAST):
                    await bystander.send(b"hello")
                    assert await bystander.recv() == b"hello"
                    await recorder.departures.get()
                await bystander.send(b"still here")
                assert await bystander.recv() == b"still here"

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))
    heard = [recorder.messages.get_nowait()[1] for _ in range(recorder.messages.qsize())]
    # The last one may have been there before it was known that its sender is not any more.
    assert [frames for frames in heard if frames != [b"x"]] == [[b"hello"], [b"still here"]] * 3


def test_amid_a_long_message_it_can_be_closed(short_dir: Path) -> None:
    path, recorder = short_dir / "s", Amid()

    async def scenario() -> None:
        with routing(recorder, path):
            said = asyncio.create_task(asyncio.to_thread(say, path, 300_000))
            await recorder.begun.wait()
        (await said).socket.close()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))


def test_who_spoke_behind_a_long_message_is_heard_before_it_falls_silent(short_dir: Path) -> None:
    path, recorder = short_dir / "s", Amid()

    async def scenario() -> None:
        with routing(recorder, path) as router, client(path) as bystander:
            await greeting(recorder, bystander)
            recorder.begun.clear()
            said = asyncio.create_task(asyncio.to_thread(say, path, 80_000))
            await recorder.begun.wait()
            await bystander.send(b"one more")
            await router.fall_silent()
            assert recorder.messages.get_nowait()[1] == [b"one more"]
            (await said).socket.close()

    asyncio.run(asyncio.wait_for(scenario(), LIMIT_S))
