"""The upstream is off, comes, goes and comes back: what is listed, answered and logged."""

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import (
    RARELY_S,
    error,
    held,
    listing,
    result,
    wait_status,
)
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_server import UpstreamServer, free_port


class Switchable:
    """An upstream on one address that can be switched on and off."""

    def __init__(self) -> None:
        self.port = free_port()
        self._exits = contextlib.ExitStack()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def on(self, *models: str) -> UpstreamServer:
        return self._exits.enter_context(UpstreamServer(models or ("a", "b"), port=self.port))

    def off(self) -> None:
        self._exits.close()


@pytest.fixture
def switchable() -> Iterator[Switchable]:
    upstream = Switchable()
    yield upstream
    upstream.off()


def codes(listed: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in listed["warnings"]]


def refreshed(dealer: Dealer) -> dict[str, Any]:
    return result(dealer.ask(op="list", id="refresh", refresh=True))


def test_nothing_could_ever_be_listed(short_dir: Path, switchable: Switchable) -> None:
    with start_daemon(short_dir, switchable.url) as daemon:
        listed = result(daemon.dealer().ask(op="list", id=1))

    (model,) = listed["models"]
    assert (model["id"], model["loaded"], model["selected"]) == ("local_model", None, True)
    assert codes(listed) == ["fallback"]
    assert switchable.url in listed["warnings"][0]["message"]
    assert "refused" in listed["warnings"][0]["message"]
    selection = listed["selection"]
    assert (selection["model"], selection["how"]) == ("local_model", "fallback")
    assert selection["available"] is False
    source = listed["source"]
    assert (source["reachable"], source["stale"], source["api"]) == (False, True, None)
    assert (source["fetched_at"], source["age_s"]) == (None, None)
    assert source["error"]["code"] == "upstream_unavailable"


def test_name_of_the_stand_in_is_a_setting(short_dir: Path, switchable: Switchable) -> None:
    with start_daemon(short_dir, switchable.url, llm_fallback_model="mine") as daemon:
        listed = result(daemon.dealer().ask(op="list", id=1))

    assert [model["id"] for model in listed["models"]] == ["mine"]


def test_off_on_off(short_dir: Path, switchable: Switchable) -> None:
    with start_daemon(short_dir, switchable.url, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        before = result(dealer.ask(op="list", id=1))

        switchable.on()
        there = refreshed(dealer)
        assert [model["id"] for model in there["models"]] == ["a", "b"]
        assert there["warnings"] == []
        assert (there["source"]["reachable"], there["source"]["stale"]) == (True, False)
        assert there["source"]["error"] is None
        assert there["generation"] > before["generation"]

        switchable.off()
        gone = refreshed(dealer)
        assert [model["id"] for model in gone["models"]] == ["a", "b"]
        assert codes(gone) == ["stale"]
        assert "refused" in gone["warnings"][0]["message"]
        assert (gone["source"]["reachable"], gone["source"]["stale"]) == (False, True)
        assert gone["source"]["fetched_at"] == there["source"]["fetched_at"]
        assert gone["source"]["age_s"] > there["source"]["age_s"]
        assert gone["source"]["error"]["code"] == "upstream_unavailable"
        assert (gone["selection"]["model"], gone["selection"]["available"]) == ("a", False)
        assert gone["generation"] > there["generation"]
        assert result(dealer.ask(op="list", id=3)) | {"source": {}} == gone | {"source": {}}

        problem = error(dealer.ask(op="generate", id=4, prompt="x"))
        assert problem["code"] == "upstream_unavailable"
        assert switchable.url in problem["message"]
        assert problem["hint"]


def test_generate_notices_by_itself_that_the_upstream_has_gone(
    short_dir: Path, switchable: Switchable
) -> None:
    switchable.on()
    with start_daemon(short_dir, switchable.url, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        assert result(dealer.ask(op="generate", id=1, prompt="x"))
        switchable.off()

        problem = error(dealer.ask(op="generate", id=2, prompt="x"))

        assert problem["code"] == "upstream_unavailable"
        assert switchable.url in problem["message"]
        assert result(dealer.ask(op="list", id=3))["source"]["reachable"] is False


def test_generate_notices_at_once_that_the_upstream_is_back(
    short_dir: Path, switchable: Switchable
) -> None:
    switchable.on()
    with start_daemon(short_dir, switchable.url, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        refreshed(dealer)
        switchable.off()
        refreshed(dealer)
        upstream = switchable.on()

        # For a second the failed poll still counts; after that every request looks again.
        replies = [dealer.ask(op="generate", id=1, prompt="x")]
        while replies[-1]["type"] == "error" and len(replies) < 100_000:
            assert error(replies[-1])["code"] == "upstream_unavailable"
            replies.append(dealer.ask(op="generate", id=1, prompt="x"))

        assert result(replies[-1])["text"] == "Hello world"
        assert len(upstream.lists) == 1
        assert result(dealer.ask(op="list", id=2))["warnings"] == []


def test_wait_waits_for_the_upstream(short_dir: Path, switchable: Switchable) -> None:
    with start_daemon(short_dir, switchable.url) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id=1, prompt="x", wait=9)
        wait_status(watcher, lambda report: report["source"]["error"] is not None)

        switchable.on()

        answer = result(dealer.receive())
        assert answer["text"] == "Hello world"
        assert answer["timing"]["queued_s"] > answer["timing"]["waiting_s"]


def test_wait_ends_when_it_is_over(short_dir: Path, switchable: Switchable) -> None:
    with start_daemon(short_dir, switchable.url) as daemon:
        reply = daemon.dealer().ask(op="generate", id=1, prompt="x", wait=0.3)

        assert error(reply)["code"] == "upstream_unavailable"


def test_generate_waits_for_the_first_poll(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.models_reply = held(gate, listing({"id": "late"}))
    with start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        dealer.send(op="generate", id=1, prompt="x")
        wait_status(daemon.dealer(), lambda report: len(report["requests"]) == 1)
        upstream.wait_list()
        assert upstream.generations == []

        gate.step()

        assert result(dealer.receive())["text"] == "Hello world"
        assert upstream.wait_generation().body["model"] == "late"
        assert len(upstream.lists) == 1


def test_generate_waits_for_it_no_longer_than_for_a_connection(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.models_reply = held(Gate(), listing({"id": "never"}))
    with start_daemon(short_dir, upstream, llm_connect_timeout=0.1) as daemon:
        problem = error(daemon.dealer().ask(op="generate", id=1, prompt="x"))

    assert problem["code"] == "upstream_unavailable"
    assert upstream.url in problem["message"]
    assert "wait" in problem["hint"]


def test_only_the_ways_down_and_up_are_logged(
    short_dir: Path, switchable: Switchable, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    def lines(text: str) -> list[int]:
        return [record.levelno for record in caplog.records if text in record.getMessage()]

    with start_daemon(short_dir, switchable.url, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        for _ in range(5):
            refreshed(dealer)
        assert lines(switchable.url) == [logging.WARNING]

        switchable.on()
        for _ in range(5):
            refreshed(dealer)
        assert lines(switchable.url) == [logging.WARNING, logging.INFO]

        switchable.off()
        for _ in range(5):
            refreshed(dealer)
        assert lines(switchable.url) == [logging.WARNING, logging.INFO, logging.WARNING]


def test_poller_goes_on_by_itself(short_dir: Path, switchable: Switchable) -> None:
    upstream = switchable.on()
    with start_daemon(short_dir, switchable.url, daemon_poll_interval=0.05) as daemon:
        dealer = daemon.dealer()
        generation = result(dealer.ask(op="list", id=1))["generation"]
        upstream.wait_list(5)

        upstream.models = ["c"]
        changed = result(dealer.ask(op="list", id=2, since=generation, timeout=9))
        assert [model["id"] for model in changed["models"]] == ["c"]

        switchable.off()
        down = result(dealer.ask(op="list", id=3, since=changed["generation"], timeout=9))
        assert codes(down) == ["stale"]

        switchable.on("d")
        up = result(dealer.ask(op="list", id=4, since=down["generation"], timeout=9))
        assert [model["id"] for model in up["models"]] == ["d"]
