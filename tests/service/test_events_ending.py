"""How a subscription ends: by its client, by its time, or with the daemon."""

import logging
from pathlib import Path

import pytest

from tests.service.asking import error, result, until_answered
from tests.service.watching import Watcher
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer


def test_cancelled_by_its_client_or_by_its_number(daemon: RunningDaemon, dealer: Dealer) -> None:
    watcher = Watcher(daemon, "requests", "log")
    watcher.snapshot()
    watcher.send(op="cancel", id="c", target="w")

    told = [watcher.receive() for _ in range(3)]

    assert told[0]["data"]["requests"][0]["op"] == "cancel"
    assert error(told[1])["code"] == "cancelled"
    assert error(told[1])["details"] == {}
    assert result(told[2]) == {"cancelled": True}

    other = Watcher(daemon, "config")
    other.snapshot()
    (request,) = result(dealer.ask(op="status", id=1))["requests"]
    assert result(dealer.ask(op="cancel", id=2, request=request["request"])) == {"cancelled": True}
    assert error(other.receive())["code"] == "cancelled"
    assert result(dealer.ask(op="status", id=3))["requests"] == []


def test_cancelled_in_the_same_breath(daemon: RunningDaemon, dealer: Dealer) -> None:
    dealer.send(op="subscribe", id="w", topics=["config", "log"])
    dealer.send(op="cancel", id="c", target="w")

    snapshot, last, outcome = (dealer.receive() for _ in range(3))

    assert snapshot["snapshot"]
    assert error(last)["code"] == "cancelled"
    assert result(outcome) == {"cancelled": True}
    logging.getLogger("devsynthd").error("nobody listens")
    assert result(dealer.ask(op="ping", id="p"))
    assert result(daemon.dealer().ask(op="status", id=1))["requests"] == []


def test_ends_when_its_time_is_over(daemon: RunningDaemon) -> None:
    watcher = Watcher(daemon, "config", timeout=0.2)
    watcher.snapshot()

    over = error(watcher.receive())

    assert (over["code"], over["details"]) == ("deadline_exceeded", {})


@pytest.mark.parametrize("topic", ["requests", "log"])
def test_ends_with_its_client(daemon: RunningDaemon, dealer: Dealer, topic: str) -> None:
    other = Watcher(daemon, "requests")
    other.snapshot()
    watcher = Watcher(daemon, topic)
    assert other.request()["state"] == "streaming"
    watcher.dealer.close()

    told = other.requests_until(lambda each: each["state"] == "cancelled")

    assert told[-1]["op"] == "subscribe"
    report = result(dealer.ask(op="status", id=1))
    assert [each["id"] for each in report["requests"]] == ["w"]


def test_id_is_free_again_afterwards(daemon: RunningDaemon) -> None:
    watcher = Watcher(daemon, "config")
    watcher.snapshot()
    watcher.send(op="subscribe", id="w", topics=["config"])
    twice = watcher.receive()
    assert (twice["id"], error(twice)["code"]) == (None, "bad_request")
    watcher.send(op="cancel", id="c", target="w")
    until_answered(watcher.dealer, "c")

    watcher.send(op="subscribe", id="w", topics=["config"])

    assert watcher.snapshot()["valid"]


def test_who_watches_learns_of_a_shutdown_at_once(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("x", gate=gate))
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        dealer = daemon.dealer()
        dealer.send(op="generate", id="runs", prompt="x")
        upstream.wait_generation()
        watcher = Watcher(daemon, "requests")
        watcher.snapshot()

        assert result(daemon.dealer().ask(op="shutdown", id="bye")) == {}

        last = error(watcher.receive())
        assert (last["code"], last["retryable"]) == ("shutting_down", True)
        late = error(daemon.dealer().ask(op="subscribe", id="late"))
        assert late["code"] == "shutting_down"
        gate.step(2)
        assert result(dealer.receive())["text"] == "x"
        daemon.wait_ended()


def test_subscriptions_alone_do_not_keep_the_daemon(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        watchers = [Watcher(daemon, "config") for _ in range(3)]
        for watcher in watchers:
            watcher.snapshot()

        daemon.dealer().ask(op="shutdown", id="bye")

        for watcher in watchers:
            assert error(watcher.receive())["code"] == "shutting_down"
        daemon.wait_ended()


def test_one_client_cannot_subscribe_without_end(daemon: RunningDaemon, dealer: Dealer) -> None:
    for number in range(64):
        assert dealer.ask(op="subscribe", id=number, topics=["config"])["snapshot"]

    assert error(dealer.ask(op="subscribe", id="more", topics=["config"]))["code"] == "queue_full"
    assert daemon.dealer().ask(op="subscribe", id="other", topics=["config"])["snapshot"]
