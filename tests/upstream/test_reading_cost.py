"""What an answer must not cost: counts, which are the same on a slow machine."""

import asyncio
import itertools
import json
from typing import Any

import pytest

from devsynthd.upstream.base import Delta
from devsynthd.upstream.relay import Relay
from tests.support.upstream_replies import piece, raw, tokens
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import CHAT, ask, unnoticed, upstream_at

MANY = 1000


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often a thread has woken it."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = 0

    def call_soon_threadsafe(  # type: ignore[override]  # passed through, as the arguments are
        self,
        *args: Any,  # noqa: ANN401 - passed through
        **kwargs: Any,  # noqa: ANN401 - passed through
    ) -> asyncio.Handle:
        """Count, and do as it does."""
        self.woken += 1
        return super().call_soon_threadsafe(*args, **kwargs)


@pytest.fixture
def loop() -> CountingLoop:
    return CountingLoop()


def test_no_thread_is_woken_for_a_token(server: UpstreamServer, loop: CountingLoop) -> None:
    """One opens the connection; nothing more is needed, however many answers come by it."""
    server.script.extend(tokens(*"abc" * count) for count in (1, 100, 100))

    async def run() -> list[int]:
        woken = [loop.woken]
        async with upstream_at(server.url) as upstream:
            for _ in range(3):
                await ask(upstream)
                woken.append(loop.woken)
        return [after - before for before, after in itertools.pairwise(woken)]

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        assert runner.run(run()) == [1, 0, 0]


def test_what_has_come_is_handed_on_at_once(server: UpstreamServer) -> None:
    event = b"data: %b\n\n" % json.dumps(piece("x")).encode()
    last = b"data: %b\n\n" % json.dumps(piece(finish_reason="stop")).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    server.script.append(raw(head + event * MANY + last))
    pieces: list[int] = []

    async def run() -> None:
        def take() -> None:
            pieces.append(len(deltas.take()))

        deltas = Relay[Delta](MANY, take)
        async with upstream_at(server.url) as upstream:
            await upstream.chat(CHAT, deltas, unnoticed)

    asyncio.run(run())
    assert sum(pieces) == MANY
    assert len(pieces) < MANY / 20
