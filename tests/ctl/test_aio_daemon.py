"""The client on asyncio and the real daemon."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl import AsyncClient
from devsynthd.wire.errors import Cancelled, DeadlineExceeded
from tests.ctl.on_loop import on_loop
from tests.support.daemon import RunningDaemon, daemon_process, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer(["a", "b"]) as server:
        yield server


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[RunningDaemon]:
    with start_daemon(short_dir, upstream) as daemon:
        yield daemon


@on_loop
async def test_fifty_requests_at_once_are_all_answered(daemon: RunningDaemon) -> None:
    async with AsyncClient(daemon.path) as ctl:
        listed = await asyncio.gather(*(ctl.list() for _ in range(50)))
        answers = await asyncio.gather(*(ctl.generate("hi") for _ in range(50)))
    assert {tuple(each.id for each in models.models) for models in listed} == {("a", "b")}
    assert {each.text for each in answers} == {"Hello world"}


@on_loop
async def test_streams_run_beside_each_other(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("one", "two", "three", gate=gate))
    async with AsyncClient(daemon.path) as ctl:
        held = await ctl.stream("slowly")
        await asyncio.to_thread(gate.step)
        assert (await anext(held)).text == "one"
        assert "".join([chunk.text async for chunk in ctl.stream("at once")]) == "Hello world"
        await asyncio.to_thread(gate.step, 3)
        assert "".join([chunk.text async for chunk in held]) == "twothree"
        assert held.result.text == "onetwothree"


@on_loop
async def test_a_cancelled_task_ends_the_generation_at_the_upstream(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    async with AsyncClient(daemon.path) as ctl:
        task = asyncio.create_task(ctl.generate("hi"))
        exchange = await asyncio.to_thread(upstream.wait_generation)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await asyncio.to_thread(exchange.ended.wait, 5)
        assert exchange.disconnected_at is not None
        assert (await ctl.ping()).protocol == 1


@on_loop
async def test_a_stream_is_cancelled_by_its_id(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("half"))
    async with AsyncClient(daemon.path) as ctl:
        stream = ctl.stream("hi")
        assert (await anext(stream)).text == "half"
        assert await ctl.cancel(stream.id)
        with pytest.raises(Cancelled) as caught:
            await anext(stream)
    assert caught.value.details["text"] == "half"


@on_loop
async def test_a_timeout_is_the_daemon_s_word(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("half"))
    async with AsyncClient(daemon.path) as ctl:
        with pytest.raises(DeadlineExceeded) as caught:
            _ = [chunk async for chunk in ctl.stream("hi", timeout=0.3)]
    assert caught.value.details["text"] == "half"


@on_loop
async def test_closing_ends_what_runs_at_the_upstream(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.extend([silence(), silence()])
    ctl = AsyncClient(daemon.path)
    tasks = [asyncio.create_task(ctl.generate("hi")) for _ in range(2)]
    exchanges = [await asyncio.to_thread(upstream.wait_generation, n) for n in (1, 2)]
    await ctl.close()
    assert all(await asyncio.gather(*tasks, return_exceptions=True))
    for exchange in exchanges:
        assert await asyncio.to_thread(exchange.ended.wait, 5)


@on_loop
async def test_a_change_is_noticed(daemon: RunningDaemon) -> None:
    async with AsyncClient(daemon.path) as ctl:
        known = (await ctl.list()).generation
        assert (await ctl.wait_for_change(known, timeout=0.1)).generation == known
        changed = asyncio.create_task(ctl.wait_for_change(known))
        await ctl.select("b", persist=False)
        assert (await changed).selection.model == "b"


@on_loop
async def test_events_come_until_it_is_closed(daemon: RunningDaemon) -> None:
    async with AsyncClient(daemon.path) as ctl:
        await ctl.list()
        async with ctl.subscribe(["models"]) as news:
            assert (await anext(news)).snapshot
            await ctl.select("b", persist=False)
            told = await news.wait(10)
        assert told is not None
        assert told.topic == "models"
        assert (await ctl.ping()).protocol == 1


def test_one_client_outlives_its_daemons(short_dir: Path, upstream: UpstreamServer) -> None:
    environ = {"DEVSYNTH_LLM_PROVIDER": "openai", "DEVSYNTH_LLM_API_BASE": upstream.url}

    @on_loop
    async def ask_both() -> None:
        async with AsyncClient(short_dir / "s.sock") as ctl:
            with daemon_process(short_dir, environ=environ) as first:
                before = await ctl.ping()
                await ctl.shutdown()
                await asyncio.to_thread(first.wait)
            with daemon_process(short_dir, environ=environ):
                after, answer = await asyncio.gather(ctl.ping(), ctl.generate("hi"))
        assert before.instance != after.instance
        assert answer.text == "Hello world"

    ask_both()
