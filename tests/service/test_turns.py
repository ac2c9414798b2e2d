"""Whose turn it is, beyond the round: background, bytes, an upstream that is not there yet."""

import time
from pathlib import Path

from tests.service.asking import (
    RARELY_S,
    AnyDict,
    error,
    result,
    until_answered,
    wait_queue,
)
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import events, piece, silence, status, tokens
from tests.support.upstream_server import UpstreamServer, free_port

MIB = 2**20


def prompts(upstream: UpstreamServer) -> list[str]:
    return [each.body["messages"][-1]["content"] for each in upstream.generations]


def test_background_runs_when_nothing_else_waits(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.ask(op="list", id=0)
        dealer.send(op="generate", id="runs", prompt="runs")
        upstream.wait_generation()
        for name in ("b1", "b2"):
            dealer.send(op="generate", id=name, prompt=name, background=True)
        dealer.send(op="generate", id="f1", prompt="f1")
        wait_queue(daemon.dealer(), running=1, waiting=3)
        other.send(op="generate", id="f2", prompt="f2")
        report = wait_queue(daemon.dealer(), running=1, waiting=4)
        assert {each["id"]: each["position"] for each in report["requests"]} == {
            "runs": None,
            "f2": 0 if _first(report) == "f2" else 1,
            "f1": 1 if _first(report) == "f2" else 0,
            "b1": 2,
            "b2": 3,
        }

        gate.step(2)
        until_answered(dealer, "runs", "b1", "b2", "f1")
        until_answered(other, "f2")

    sent = prompts(upstream)
    assert sent[0] == "runs"
    assert sorted(sent[1:3]) == ["f1", "f2"]
    assert sent[3:] == ["b1", "b2"]


def _first(report: AnyDict) -> str:
    (first,) = [each["id"] for each in report["requests"] if each["position"] == 0]
    return str(first)


def test_a_background_request_alone_runs_at_once(dealer: Dealer, upstream: UpstreamServer) -> None:
    assert result(dealer.ask(op="generate", id=1, prompt="x", background=True))
    assert prompts(upstream) == ["x"]


def test_what_waits_for_the_upstream_waits_in_the_queue(short_dir: Path) -> None:
    with start_daemon(
        short_dir,
        f"http://127.0.0.1:{free_port()}/v1",
        daemon_max_concurrency=1,
        daemon_queue_limit=2,
    ) as daemon:
        dealer = daemon.dealer()
        for number in range(4):
            dealer.send(op="generate", id=number, prompt="x", wait=60)

        refused = dealer.receive()

        assert error(refused)["code"] == "queue_full"
        assert "2 generations of this client wait" in error(refused)["message"]
        wait_queue(daemon.dealer(), running=0, waiting=refused["id"])


def test_bodies_that_wait_are_bounded(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    large = "x" * (30 * MIB)
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=0)
        dealer.send(op="generate", id="runs", prompt="x")
        upstream.wait_generation()
        for number in range(9):
            dealer.send(op="generate", id=number, prompt=large)

        refused = dealer.receive()
        assert (refused["id"], error(refused)["code"]) == (8, "queue_full")
        assert "256 MiB" in error(refused)["message"]

        dealer.send(op="generate", id="small", prompt="x")
        wait_queue(daemon.dealer(), running=1, waiting=9)


def test_seconds_add_up_under_load(short_dir: Path, upstream: UpstreamServer) -> None:
    """Each client's own clock agrees with the ledger of each of its answers."""
    clients, each_sends = 10, 20
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=3, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealers = [daemon.dealer() for _ in range(clients)]
        dealers[0].ask(op="list", id="l")
        started = time.monotonic()
        for dealer in dealers:
            for number in range(each_sends):
                dealer.send(op="generate", id=number, prompt="x", stream=number % 2 == 0)
        timings: list[AnyDict] = []
        for dealer in dealers:
            replies = until_answered(dealer, *range(each_sends))
            timings += [result(reply)["timing"] for reply in replies if reply["type"] == "result"]
        took_s = time.monotonic() - started

    assert len(timings) == clients * each_sends
    for timing in timings:
        parts = [timing[name] for name in ("queued_s", "waiting_s", "streaming_s")]
        assert all(part >= 0 for part in parts)
        assert abs(sum(parts) - timing["total_s"]) < 0.001
        assert timing["total_s"] <= took_s
    # Most of them had to wait for their turn, and none longer than all of it took.
    assert sum(timing["queued_s"] > timing["waiting_s"] for timing in timings) > len(timings) / 2
    # The upstream was busy three at a time at most: what they were answered in fits into that.
    busy_s = sum(timing["waiting_s"] + timing["streaming_s"] for timing in timings)
    assert busy_s <= 3 * took_s


def test_an_answer_after_an_empty_success_has_a_turn(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.extend([events(piece(finish_reason="stop"), "[DONE]"), status(500, {})])

    codes = [error(dealer.ask(op="generate", id=n, prompt="x"))["code"] for n in range(2)]

    assert codes == ["upstream_error", "upstream_error"]
    assert result(dealer.ask(op="generate", id=3, prompt="x"))["text"] == "Hello world"
