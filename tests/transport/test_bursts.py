"""Many messages at a time: each is answered, in its order, and none is left lying."""

import asyncio
from pathlib import Path

import pytest
import zmq

from devsynthd.transport.peer import Frames, Peer
from devsynthd.transport.router import BURSTS
from tests.transport.listening import Recorder, client, listening, routing

LIMIT_S = 10.0
MESSAGES = 3000


class Echo(Recorder):
    """A listener that answers at once, as what is known is answered."""

    def received(self, peer: Peer, frames: Frames) -> None:
        peer.send(frames)


def in_flight(path: Path, most: int, count: int) -> list[bytes]:
    """Send *count* messages, of which *most* are always on the way; return what came back."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.RCVTIMEO, int(LIMIT_S * 1000))
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.connect(f"ipc://{path}")
        answers = []
        for number in range(count + most):
            if number >= most:
                answers.append(dealer.recv())
            if number < count:
                dealer.send(b"%d" % number)
    return answers


@pytest.mark.parametrize("most", [1, 2, 3, 7, 16, 17, 40, sum(BURSTS), 200])
def test_each_message_of_many_is_answered_in_its_order(short_dir: Path, most: int) -> None:
    async def scenario() -> list[bytes]:
        with routing(Echo(), short_dir / "s"):
            return await asyncio.to_thread(in_flight, short_dir / "s", most, MESSAGES)

    assert asyncio.run(scenario()) == [b"%d" % number for number in range(MESSAGES)]


def test_answers_that_come_later_do_not_hide_what_has_come_meanwhile(short_dir: Path) -> None:
    """Sending may use up the only sign of a new message."""

    async def scenario() -> None:
        async with listening(short_dir / "s") as recorder:
            with client(short_dir / "s") as dealer:
                for number in range(300):
                    body = b"%d" % number
                    await dealer.send(body)
                    async with asyncio.timeout(LIMIT_S):
                        peer, frames = await recorder.messages.get()
                        assert frames == [body]
                        for _ in range(number % 5):
                            peer.send([b"chunk"])
                            await dealer.send(b"more")
                        peer.send([b"end"])
                        while await dealer.recv() != b"end":
                            pass
                        for _ in range(number % 5):
                            await recorder.messages.get()

    asyncio.run(scenario())


def test_what_was_said_in_a_burst_to_a_peer_that_has_left_harms_nobody(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        recorder = Echo()
        with routing(recorder, path), client(path) as other:
            with client(path) as dealer:
                for _ in range(3 * sum(BURSTS)):
                    await dealer.send(b"hello")
            await other.send(b"still there")
            async with asyncio.timeout(LIMIT_S):
                assert await other.recv() == b"still there"

    asyncio.run(scenario())
