"""Events on asyncio: what comes, how the wait for it ends, and how the subscription does."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import AsyncClient, BadReply, ConnectionLost
from devsynthd.wire.errors import ShuttingDown
from devsynthd.wire.events import ConfigNews
from devsynthd.wire.results import Models
from tests.ctl.on_loop import on_loop
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, completion, model, models

CONFIG = {"config_generation": 3, "changed": ["llm_model"], "valid": True, "error": None}


def event(
    daemon: FakeDaemon, request: dict[str, Any], topic: str, data: object, **fields: object
) -> None:
    head = {"type": "event", "id": request["id"], "topic": topic, "time": 1.5, "snapshot": False}
    daemon.send(head | {"missed": 0, "data": data} | fields)


def one_event_and_cancelled(daemon: FakeDaemon) -> None:
    """Send one event, see the subscription cancelled, and answer a ping."""
    request = daemon.receive()
    event(daemon, request, "config", CONFIG)
    cancel = daemon.receive()
    assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
    daemon.error(request, "cancelled")
    daemon.result(daemon.receive(), PONG)


@on_loop
async def test_news_come_as_they_were_told(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert (request["op"], request["topics"]) == ("subscribe", ["models", "config"])
        event(daemon, request, "models", models(model("a"), generation=4), snapshot=True)
        event(daemon, request, "config", CONFIG, missed=2)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl, ctl.subscribe(["models", "config"]) as news:
            first, second = await anext(news), await anext(news)
    assert isinstance(first.data, Models)
    assert (first.topic, first.snapshot, first.data.generation) == ("models", True, 4)
    assert isinstance(second.data, ConfigNews)
    assert (second.topic, second.missed, second.time) == ("config", 2, 1.5)


@on_loop
async def test_a_wait_may_end_without_news_and_go_on(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["topics"] is None
        assert daemon.go.wait(10)
        event(daemon, request, "config", CONFIG)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script) as daemon:
        async with AsyncClient(socket_path) as ctl:
            news = await ctl.subscribe()
            assert await news.wait(0.05) is None
            daemon.go.set()
            told = await news.wait(10)
            assert told is not None
            assert told.topic == "config"
            await news.aclose()
            assert await news.wait() is None


@pytest.mark.parametrize("way", ["aclose", "break", "cancel the task", "another task"])
@on_loop
async def test_a_subscription_that_is_left_is_cancelled(socket_path: Path, way: str) -> None:
    with FakeDaemon(socket_path, one_event_and_cancelled):
        async with AsyncClient(socket_path) as ctl:
            if way == "break":
                async for _ in ctl.subscribe():
                    break
            else:
                news = ctl.subscribe()
                await anext(news)
                reader = asyncio.ensure_future(news.__anext__())
                await asyncio.sleep(0)
                if way == "another task":
                    with pytest.raises(RuntimeError, match="another task reads this"):
                        await news.wait()
                    await news.aclose()
                    with pytest.raises(StopAsyncIteration):
                        await reader
                else:
                    reader.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await reader
                await news.aclose()
                assert [each async for each in news] == []
            await asyncio.sleep(0)  # what is dropped is cancelled by the loop
            assert (await ctl.ping()).pid == 4321


@on_loop
async def test_the_end_of_the_daemon_ends_it_with_an_error(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        daemon.error(request, "shutting_down")
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        daemon.hang_up()

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            for reason in (ShuttingDown, ConnectionLost):
                news = ctl.subscribe()
                await anext(news)
                with pytest.raises(reason):
                    await anext(news)


@on_loop
async def test_what_is_no_event_is_refused(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), completion(""))

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl:
            with pytest.raises(BadReply, match="answered by ReceivedResult"):
                await anext(ctl.subscribe())


@on_loop
async def test_of_too_many_events_the_oldest_are_dropped_and_counted(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        for number in range(20):
            line = {"level": "info", "message": "x" * 2**20, "fields": {"number": number}}
            event(daemon, request, "log", line, missed=number % 2)
        daemon.result(daemon.receive(), PONG)
        event(daemon, request, "config", CONFIG)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script):
        async with AsyncClient(socket_path) as ctl, ctl.subscribe() as news:
            assert (await ctl.ping()).pid == 4321
            read = []
            while (each := await anext(news)).topic == "log":
                read.append(each)
    assert 15 <= len(read) < 20
    assert sum(each.missed for each in read) == 10 + 20 - len(read)
    assert read[0].missed >= 20 - len(read)
    assert each.missed == 1
