"""``subscribe``: what is told about requests."""

from pathlib import Path

import pytest

from tests.lmstudio import LMStudio
from tests.service.asking import (
    RARELY_S,
    error,
    result,
    until_answered,
    wait_queue,
)
from tests.service.watching import Watcher, ended, steps
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import events, piece, silence, status, tokens, usage
from tests.support.upstream_server import UpstreamServer


def test_a_generation_is_told_from_its_place_to_its_timing(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    watchers = [Watcher(daemon, "requests"), Watcher(daemon, "requests", as_json=True)]
    for watcher in watchers:
        watcher.snapshot()
    words = [piece("one "), piece("two"), piece(finish_reason="stop"), usage()]
    upstream.script.append(events(*words))
    dealer.send(op="generate", id="g", prompt="a prompt", stream=True, client="test 2")
    *_, last = until_answered(dealer, "g")

    for watcher in watchers:
        told = watcher.requests_until(ended("g"))
        own = [each for each in told if each["id"] == "g"]
        assert steps(told, "g") == [
            ("queued", 0),
            ("waiting", None),
            ("streaming", None),
            ("done", None),
        ]
        assert own[-1]["timing"] == result(last)["timing"]
        assert {each["model"] for each in own} == {"a"}
        assert {(each["client"], each["op"]) for each in own} == {("test 2", "generate")}
        assert "prompt" not in str(told)
        assert "two" not in str(told)


def test_places_are_told_of_who_did_not_ask(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)
        dealer.send(op="generate", id="runs", prompt="x")
        upstream.wait_generation()
        dealer.send(op="generate", id="first", prompt="x")
        wait_queue(daemon.dealer(), running=1, waiting=1)
        watcher = Watcher(daemon, "requests")
        shown = {each["id"]: each["position"] for each in watcher.snapshot()["requests"]}
        assert shown == {"runs": None, "first": 0, "w": None}

        dealer.send(op="generate", id="second", prompt="x")
        dealer.send(op="generate", id="third", prompt="x")
        dealer.send(op="cancel", id="c", target="first")
        told = watcher.requests_until(ended("c"))
        assert steps(told, "first") == [("cancelled", None)]
        gate.step(2)
        told += watcher.requests_until(ended("third"))

        assert steps(told, "second")[:3] == [("queued", 1), ("queued", 0), ("waiting", None)]
        assert steps(told, "third")[:4] == [
            ("queued", 2),
            ("queued", 1),
            ("queued", 0),
            ("waiting", None),
        ]
        assert steps(told, "runs") == [("streaming", None), ("done", None)]


def test_the_speed_of_a_stream_shows_while_it_runs(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", "c", gate=gate))
    dealer.send(op="generate", id="g", prompt="x", stream=True)
    for _ in range(2):
        gate.step()
        dealer.receive()

    watcher = Watcher(daemon, "requests")
    timing = watcher.snapshot()["requests"][0]["timing"]

    assert timing["tokens_per_s"] == pytest.approx(1 / timing["streaming_s"])
    gate.step(2)


def test_why_a_request_failed_is_told(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.extend([status(500, {"error": {"message": "out of order"}}), silence()])
    watcher = Watcher(daemon, "requests")
    watcher.snapshot()

    failed = error(dealer.ask(op="generate", id="g", prompt="x"))
    dealer.send(op="generate", id="h", prompt="x")
    upstream.wait_generation(2)
    dealer.send(op="cancel", id="c", target="h")

    told = watcher.requests_until(ended("g"))
    assert told[-1]["state"] == "failed"
    said = failed["message"].removesuffix(": out of order")  # the server's own words are left out
    assert told[-1]["error"] == {"code": failed["code"], "message": said}
    assert said != failed["message"]
    told = watcher.requests_until(ended("h"))
    assert (told[-1]["state"], told[-1]["error"]["code"]) == ("cancelled", "cancelled")


def test_what_is_answered_at_once_is_no_request(daemon: RunningDaemon, dealer: Dealer) -> None:
    watcher = Watcher(daemon, "requests")
    watcher.snapshot()
    for op in ("ping", "list", "status", "config_get"):
        result(dealer.ask(op=op, id=op))
    error(dealer.ask(op="cancel", id="c"))

    dealer.ask(op="list", id="refreshed", refresh=True)

    assert [watcher.request()["state"] for _ in range(2)] == ["waiting", "done"]


def test_a_load_is_told_as_one(short_dir: Path) -> None:
    with (
        LMStudio() as studio,
        start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon,
    ):
        dealer = daemon.dealer()
        models = result(dealer.ask(op="list", id=1))["models"]
        model = next(each["id"] for each in models if not each["loaded"])
        watcher = Watcher(daemon, "requests", "models")
        watcher.snapshot()
        watcher.snapshot()

        result(dealer.ask(op="load", id="l", model=model))

        told = [watcher.event() for _ in range(3)]
        requests = [each["data"]["requests"][0] for each in told if each["topic"] == "requests"]
        assert [(each["state"], each["model"]) for each in requests] == [
            ("loading", model),
            ("done", model),
        ]
        (listed,) = [each["data"] for each in told if each["topic"] == "models"]
        assert {each["id"]: each["loaded"] for each in listed["models"]}[model]
