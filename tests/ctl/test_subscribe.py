"""Events in a program: what comes, how the wait for it ends, and how the subscription does."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client, ConnectionLost
from devsynthctl.errors import BadReply
from devsynthd.wire.errors import BadRequest, DeadlineExceeded, ShuttingDown
from devsynthd.wire.events import ConfigNews, RequestsNews
from devsynthd.wire.objects import Source
from devsynthd.wire.results import Models
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, SOURCE, model, models
from tests.support.upstream_server import UpstreamServer

CONFIG = {"config_generation": 3, "changed": ["llm_model"], "valid": True, "error": None}


def event(
    daemon: FakeDaemon, request: dict[str, Any], topic: str, data: object, **fields: object
) -> None:
    head = {"type": "event", "id": request["id"], "topic": topic, "time": 1.5, "snapshot": False}
    daemon.send(head | {"missed": 0, "data": data} | fields)


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer(["a", "b"]) as server:
        yield server


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[RunningDaemon]:
    with start_daemon(short_dir, upstream) as daemon:
        daemon.client().list()
        yield daemon


def test_news_come_as_they_were_told(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert (request["op"], request["topics"]) == ("subscribe", ["models", "config"])
        event(daemon, request, "models", models(model("a"), generation=4), snapshot=True)
        event(daemon, request, "config", CONFIG, missed=2)
        daemon.wait_until_cancelled(request)

    with (
        FakeDaemon(socket_path, script),
        Client(socket_path) as client,
        client.subscribe(["models", "config"]) as news,
    ):
        first, second = next(news), next(news)

    assert isinstance(first.data, Models)
    assert (first.topic, first.snapshot, first.missed) == ("models", True, 0)
    assert (first.time, first.data.generation) == (1.5, 4)
    assert isinstance(second.data, ConfigNews)
    assert (second.topic, second.snapshot, second.missed) == ("config", False, 2)
    assert second.data.changed == ("llm_model",)


def test_a_wait_may_end_without_news(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.go.wait()
        event(daemon, request, "upstream", SOURCE)
        daemon.wait_until_cancelled(request)

    with (
        FakeDaemon(socket_path, script) as daemon,
        Client(socket_path) as client,
        client.subscribe() as subscription,
    ):
        assert subscription.wait(0.05) is None
        daemon.go.set()
        news = subscription.wait(10)

    assert news
    assert isinstance(news.data, Source)


def test_other_requests_are_answered_meanwhile(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.result(daemon.receive(), PONG)
        event(daemon, request, "config", CONFIG)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), Client(socket_path) as client:
        subscription = client.subscribe()
        assert client.ping().pid
        assert next(subscription).topic == "config"
        subscription.close()
        assert list(subscription) == []


def test_another_thread_closes_it(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        daemon.wait_until_cancelled(request)

    read = threading.Event()

    def follow(news: Any) -> int:  # noqa: ANN401 - a subscription
        count = 0
        for _ in news:
            count += 1
            read.set()
        return count

    with (
        FakeDaemon(socket_path, script),
        Client(socket_path) as client,
        ThreadPoolExecutor(1) as threads,
    ):
        subscription = client.subscribe()
        followed = threads.submit(follow, subscription)
        assert read.wait(10)
        subscription.close()
        assert followed.result() == 1


def test_one_that_nobody_holds_any_more_is_cancelled(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), Client(socket_path) as client:
        for news in client.subscribe():
            assert news.topic == "config"
            break


def test_it_raises_what_ended_it(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        daemon.error(request, "shutting_down", retryable=True)
        request = daemon.receive()
        event(daemon, request, "config", CONFIG)
        daemon.hang_up()

    with FakeDaemon(socket_path, script), Client(socket_path) as client:
        for fault in (ShuttingDown, ConnectionLost):
            news = client.subscribe()
            assert next(news).topic == "config"
            with pytest.raises(fault):
                next(news)


def test_what_is_no_event_is_told(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "?")
        daemon.wait_until_cancelled(request)
        event(daemon, daemon.receive(), "config", {"changed": 3})

    with FakeDaemon(socket_path, script), Client(socket_path) as client:
        with pytest.raises(BadReply, match="Chunk"):
            next(client.subscribe())
        news = next(client.subscribe())
        with pytest.raises(BadReply, match="changed"):
            _ = news.data


# The real daemon ---------------------------------------------------------------------------


def test_a_snapshot_of_each_topic_comes_first(daemon: RunningDaemon) -> None:
    with daemon.client().subscribe() as subscription:
        news = {each.topic: each for _, each in zip(range(4), subscription, strict=False)}

    assert set(news) == {"models", "upstream", "config", "requests"}
    assert all(each.snapshot for each in news.values())
    listed, requests = news["models"].data, news["requests"].data
    assert isinstance(listed, Models)
    assert [each.id for each in listed.models] == ["a", "b"]
    assert isinstance(requests, RequestsNews)


def test_a_topic_that_does_not_exist_is_refused(daemon: RunningDaemon) -> None:
    subscription = daemon.client().subscribe(["modles"])  # type: ignore[list-item]  # a mistake

    with pytest.raises(BadRequest, match="modles"):
        next(subscription)


def test_its_deadline_ends_it(daemon: RunningDaemon) -> None:
    with pytest.raises(DeadlineExceeded):
        for _ in daemon.client().subscribe(["config"], timeout=0.2):
            pass


def test_a_change_of_the_list_is_waited_for(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    client = daemon.client()
    before = client.list().generation
    with ThreadPoolExecutor(1) as threads:
        changed = threads.submit(client.wait_for_change, before, timeout=10)
        upstream.models.append("c")
        client.list(refresh=True)
        after = changed.result()

    assert after.generation > before
    assert [each.id for each in after.models] == ["a", "b", "c"]


def test_without_a_change_the_list_comes_at_the_deadline(daemon: RunningDaemon) -> None:
    client = daemon.client()

    assert client.wait_for_change(timeout=0.2).generation == client.list().generation
