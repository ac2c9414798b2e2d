"""``shutdown``: what runs may finish, all else is told at once to come back later."""

import time
from pathlib import Path

import pytest

from tests.service.asking import (
    SOON_S,
    error,
    result,
    told,
    until_answered,
    wait_queue,
    wait_status,
)
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer


def test_idle_daemon_answers_and_ends(daemon: RunningDaemon, dealer: Dealer) -> None:
    assert dealer.ask(op="shutdown", id=1) == {"type": "result", "id": 1, "result": {}}

    daemon.wait_ended()
    assert not daemon.path.exists()


def test_running_stream_finishes_within_the_grace(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("one ", "two ", "three", gate=gate))
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="s", prompt="x", stream=True)
        gate.step()
        first = dealer.receive()

        assert result(other.ask(op="shutdown", id=1)) == {}
        assert result(other.ask(op="status", id=2))["queue"]["running"] == 1
        gate.step(3)

        *chunks, last = until_answered(dealer, "s")
        assert told([first, *chunks]) == "one two three" == result(last)["text"]
        daemon.wait_ended()


def test_what_waits_is_told_at_once(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_shutdown_grace=60
    ) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="runs", prompt="x")
        upstream.wait_generation()
        dealer.send(op="generate", id="queued", prompt="x")
        dealer.send(op="list", id="since", since=result(other.ask(op="list", id=1))["generation"])
        wait_status(other, lambda report: len(report["requests"]) == 3)

        other.ask(op="shutdown", id=2)

        for reply in until_answered(dealer, "queued", "since"):
            assert error(reply)["code"] == "shutting_down"
            assert error(reply)["retryable"] is True
        gate.step(2)
        assert result(dealer.receive())["text"] == "x"
        daemon.wait_ended()
    assert len(upstream.generations) == 1


def test_draining_daemon_serves_ping_status_and_cancel_only(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after("half"))
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="g", prompt="x", stream=True)
        dealer.receive()
        other.ask(op="shutdown", id=1)

        late = daemon.dealer()  # new connections are served as well
        assert result(late.ask(op="ping", id=2))
        assert len(result(late.ask(op="status", id=3))["requests"]) == 1
        assert result(late.ask(op="shutdown", id=4)) == {}
        for op, fields in (
            ("generate", {"prompt": "x"}),
            ("list", {}),
            ("list", {"since": 0}),
            ("select", {"model": "b"}),
        ):
            problem = error(late.ask(op=op, id=5, **fields))
            assert problem["code"] == "shutting_down"
            assert problem["retryable"] is True
        assert error(late.ask(op="nonsense", id=6))["code"] == "bad_request"

        dealer.send(op="cancel", id="c", target="g")
        ended, outcome = dealer.receive(), dealer.receive()
        assert error(ended)["code"] == "cancelled"
        assert error(ended)["details"]["text"] == "half"
        assert result(outcome) == {"cancelled": True}
        daemon.wait_ended()


@pytest.mark.parametrize(
    ("setting", "grace"),
    [
        pytest.param(60, 0.3, id="of the request"),
        pytest.param(0.3, None, id="of the settings"),
        pytest.param(60, 0, id="none"),
    ],
)
def test_after_the_grace_the_rest_is_cancelled(
    short_dir: Path, upstream: UpstreamServer, setting: float, grace: float | None
) -> None:
    upstream.script.extend([silence(), silence_after("half")])
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=setting) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="silent", prompt="x")
        upstream.wait_generation(1)
        dealer.send(op="generate", id="half", prompt="x", stream=True)
        dealer.receive()

        asked_at = time.monotonic()
        other.ask(op="shutdown", id=1, grace=grace)
        replies = {reply["id"]: error(reply) for reply in until_answered(dealer, "silent", "half")}

        grace_s = setting if grace is None else grace
        assert {problem["code"] for problem in replies.values()} == {"cancelled"}
        assert not any(problem["retryable"] for problem in replies.values())
        assert replies["half"]["details"]["text"] == "half"
        assert replies["silent"]["details"]["text"] == ""
        for number in (1, 2):
            hung_up_after_s = upstream.wait_disconnected(number) - asked_at
            assert grace_s <= hung_up_after_s < grace_s + SOON_S
        daemon.wait_ended()


def test_what_comes_in_the_same_breath_is_told_too(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        dealer = daemon.dealer()
        generation = result(dealer.ask(op="list", id=0))["generation"]
        dealer.send(op="generate", id="runs", prompt="x")  # it keeps the daemon
        upstream.wait_generation()
        dealer.send(op="shutdown", id="bye")
        dealer.send(op="list", id="since", since=generation)
        dealer.send(op="generate", id="g", prompt="x")

        replies = {reply["id"]: reply for reply in until_answered(dealer, "bye", "since", "g")}

        assert result(replies["bye"]) == {}
        assert error(replies["since"])["code"] == "shutting_down"
        assert error(replies["g"])["code"] == "shutting_down"
        dealer.send(op="cancel", id="c", target="runs")
        daemon.wait_ended()
    assert len(upstream.generations) == 1


def test_waiting_for_an_upstream_ends_at_once(short_dir: Path) -> None:
    with start_daemon(short_dir, "http://127.0.0.1:9/v1", daemon_shutdown_grace=60) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id=1, prompt="x", wait=60)
        wait_status(other, lambda report: len(report["requests"]) == 1)

        other.ask(op="shutdown", id=1)

        assert error(dealer.receive())["code"] == "shutting_down"
        daemon.wait_ended()


def test_client_that_leaves_does_not_hold_up_the_end(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id=1, prompt="x")
        wait_queue(other, running=1, waiting=0)
        upstream.wait_generation()
        other.ask(op="shutdown", id=1)

        dealer.close()

        daemon.wait_ended()


def test_a_second_shutdown_can_bring_the_end_nearer(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with start_daemon(short_dir, upstream) as daemon:
        dealer, other = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="silent", prompt="x")
        upstream.wait_generation()

        assert result(other.ask(op="shutdown", id=1, grace=1000)) == {}
        assert result(other.ask(op="shutdown", id=2, grace=2000)) == {}
        assert result(other.ask(op="shutdown", id=3, grace=0)) == {}

        assert error(until_answered(dealer, "silent")[-1])["code"] == "cancelled"
        daemon.wait_ended()
