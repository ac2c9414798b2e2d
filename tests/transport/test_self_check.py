"""A daemon that looks whether clients still reach it."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from devsynthd.self_check import SelfCheck, SocketLost
from devsynthd.transport.peer import Frames, Peer
from devsynthd.transport.router import Router
from devsynthd.wire.codec import encode
from devsynthd.wire.objects import ErrorInfo
from devsynthd.wire.replies import Error, Result
from devsynthd.wire.results import Limits, Pong
from tests.transport.listening import Recorder, client, greeting, routing

LIMITS = Limits(1, 1, 1, 1, 1, 1)
BUG = ErrorInfo(code="internal", message="a bug", hint=None, retryable=False)


def pong(instance: str) -> bytes:
    told = Pong(version="1", protocol=1, pid=1, instance=instance, ops=(), limits=LIMITS)
    return encode(Result(id=0, result=told))


class Answering(Recorder):
    """Answers every message with *body*; null: with none."""

    def __init__(self, body: bytes | None) -> None:
        super().__init__()
        self._body = body

    def received(self, peer: Peer, frames: Frames) -> None:
        super().received(peer, frames)
        if self._body is not None:
            peer.send([self._body])


def checking(router: Router, *, answer_s: float = 5.0) -> SelfCheck:
    return SelfCheck(router, "me", answer_s=answer_s)


def test_its_own_answer_will_do(short_dir: Path) -> None:
    async def scenario() -> None:
        recorder = Answering(pong("me"))
        with routing(recorder, short_dir / "s") as router:
            for _ in range(3):
                await checking(router).once()
        assert recorder.clients == [], "it is no client"

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "answer",
    [
        pong("somebody else"),
        encode(
            Error(
                id=0, error=ErrorInfo(code="internal", message="a bug", hint=None, retryable=False)
            )
        ),
        b"what?",
    ],
)
def test_the_answer_of_another_will_not(short_dir: Path, answer: bytes) -> None:
    async def scenario() -> None:
        with (
            routing(Answering(answer), short_dir / "s") as router,
            pytest.raises(SocketLost, match="another process answers"),
        ):
            await checking(router).once()

    asyncio.run(scenario())


def test_it_asks_again_before_it_gives_up(short_dir: Path) -> None:
    async def scenario() -> None:
        recorder = Answering(None)
        with routing(recorder, short_dir / "s") as router:
            with pytest.raises(SocketLost, match="did not answer 3 times"):
                await checking(router, answer_s=0.25).once()
            assert recorder.messages.qsize() == 3

    asyncio.run(scenario())


class Full:
    """Lets nobody in, from the time on that it was asked *after* times; before, nobody answers."""

    def __init__(self, after: int, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        self._left, self._context = after, context
        self.dialled = 0

    @property
    def is_shut(self) -> bool:
        self._left -= 1
        return self._left < 0

    def dial(self) -> zmq.Socket[bytes]:
        self.dialled += 1
        dealer = self._context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect("inproc://nobody")
        return dealer


@pytest.mark.parametrize("after", [0, 1, 3])
def test_while_nobody_is_let_in_silence_is_no_fault(after: int) -> None:
    """Descriptors have run out: its own question would have to wait as everybody's does."""
    with zmq.Context() as context:
        full = Full(after, context)
        asyncio.run(SelfCheck(full, "me", answer_s=0.01).once())
        assert full.dialled == after


@contextlib.contextmanager
def thief(path: Path) -> Iterator[zmq.Socket[bytes]]:
    """Bind to *path* as a second daemon would that asks nobody."""
    with zmq.Context() as context, context.socket(zmq.ROUTER) as socket:
        socket.linger = 0
        socket.bind(f"ipc://{path}")
        yield socket


def test_a_stolen_path_is_noticed_though_clients_are_still_served(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        recorder = Recorder()
        with routing(recorder, path) as router, client(path) as old:
            await greeting(recorder, old)
            with thief(path), pytest.raises(SocketLost):
                await checking(router, answer_s=0.05).once()
            await greeting(recorder, old)

    asyncio.run(scenario())


def test_it_checks_again_and_again(short_dir: Path) -> None:
    async def scenario() -> None:
        passed: asyncio.Queue[None] = asyncio.Queue()
        with routing(Answering(pong("me")), short_dir / "s") as router:
            check = checking(router).run(0.001, lambda: passed.put_nowait(None))
            task = asyncio.create_task(check)
            for _ in range(3):
                await passed.get()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(scenario())
