"""The embedded engine as an upstream; a scripted server plays llama.cpp's part."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from msgspec import Struct

from devsynthd.upstream.base import Chat, Delta
from devsynthd.upstream.embedded import EmbeddedUpstream
from devsynthd.upstream.engine import MODEL_NAME, Engine
from devsynthd.upstream.engine_process import PARALLEL_SLOTS
from devsynthd.wire.errors import NotSupported
from tests.engine.stand_ins import stand_in
from tests.support.upstream_replies import events, infill_end, infill_piece, text_piece
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import CHAT, GAP, PATIENT, TEXT, Noted, ask, relay

NAME = "here"


class _Embedded(Struct):
    engine: Engine
    upstream: EmbeddedUpstream


@asynccontextmanager
async def _embedded(server: UpstreamServer) -> AsyncIterator[_Embedded]:
    report = f"print('{{\"port\": {server.port}}}', flush=True)"
    engine = stand_in(f"input(); {report}; input()")
    upstream = EmbeddedUpstream(engine, NAME, timeouts=PATIENT, max_threads=2)
    try:
        yield _Embedded(engine, upstream)
    finally:
        await upstream.close()
        await engine.stop()


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server


def test_loading_is_told_where_the_engine_has_to_start(server: UpstreamServer) -> None:
    async def run() -> list[list[str]]:
        async with _embedded(server) as embedded:
            noted = [Noted(), Noted()]
            for each in noted:
                await embedded.upstream.chat(CHAT, relay(), each)
            return [each.told for each in noted]

    assert asyncio.run(run()) == [["loading", "sent"], ["sent"]]


def test_it_says_how_many_answers_it_gives_at_a_time(server: UpstreamServer) -> None:
    async def run() -> dict[str, int]:
        async with _embedded(server) as embedded:
            return (await embedded.upstream.models()).slots

    assert asyncio.run(run()) == {NAME: PARALLEL_SLOTS}


@pytest.mark.parametrize(
    ("chat", "path"), [(CHAT, "/v1/chat/completions"), (TEXT, "/v1/completions"), (GAP, "/infill")]
)
def test_its_model_answers_under_another_name(
    server: UpstreamServer, chat: Chat, path: str
) -> None:
    """What it is need not be asked: nothing is listed first."""

    async def run() -> str | None:
        async with _embedded(server) as embedded:
            return (await ask(embedded.upstream, chat)).ending.model

    if chat is GAP:
        server.script.append(events(infill_piece("x"), infill_end()))
    elif chat is TEXT:
        server.script.append(events(text_piece("x", finish_reason="stop")))

    assert asyncio.run(run()) == NAME
    (exchange,) = server.generations
    assert (exchange.path, exchange.body["model"]) == (path, MODEL_NAME)
    assert server.lists == []


def test_it_fills_in(server: UpstreamServer) -> None:
    async def run() -> list[Delta]:
        async with _embedded(server) as embedded:
            return (await ask(embedded.upstream, GAP)).deltas

    server.script.append(events(infill_piece("    y"), infill_piece(" = x"), infill_end()))
    assert asyncio.run(run()) == [Delta("    y"), Delta(" = x")]


def test_it_makes_no_vectors_and_does_not_start_to_say_so(server: UpstreamServer) -> None:
    async def run() -> None:
        async with _embedded(server) as embedded:
            noted = Noted()
            with pytest.raises(NotSupported, match="the embedded engine") as caught:
                await embedded.upstream.embed("m", ("a",), noted)
            assert caught.value.hint is not None
            assert noted.told == []
            assert embedded.engine.pid is None

    asyncio.run(run())
