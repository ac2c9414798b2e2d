"""``cancel``: the target's own end comes first, and the upstream is hung up on at once."""

import time
from pathlib import Path

import pytest

from tests.service.asking import (
    SOON_S,
    AnyDict,
    error,
    held,
    listing,
    result,
    told,
    until_answered,
    wait_queue,
    wait_status,
)
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer, free_port


def states(report: AnyDict) -> list[str]:
    return [request["state"] for request in report["requests"]]


@pytest.mark.parametrize("stream", [False, True])
def test_cancel_by_id_in_the_middle_of_an_answer(
    daemon: RunningDaemon,
    upstream: UpstreamServer,
    *,
    stream: bool,
) -> None:
    dealer, watcher = daemon.dealer(), daemon.dealer()
    upstream.script.append(silence_after("one ", "two"))
    dealer.send(op="generate", id="g", prompt="x", stream=stream)
    chunks: list[AnyDict] = []
    while stream and told(chunks) != "one two":
        chunks.append(dealer.receive())
    wait_status(watcher, lambda report: states(report) == ["streaming"])

    cancelled_at = time.monotonic()
    dealer.send(op="cancel", id="c", target="g")
    last, outcome = dealer.receive(), dealer.receive()

    assert last["id"] == "g"
    assert error(last)["code"] == "cancelled"
    assert not error(last)["retryable"]
    assert error(last)["details"]["text"] in ({"one two"} if stream else {"one ", "one two"})
    assert outcome["id"] == "c"
    assert result(outcome) == {"cancelled": True}
    assert upstream.wait_disconnected() - cancelled_at < SOON_S
    totals = wait_queue(watcher, running=0, waiting=0)["totals"]
    assert (totals["cancelled"], totals["errors"]) == (1, {"cancelled": 1})


@pytest.mark.parametrize("stream", [False, True])
def test_cancel_while_the_upstream_is_silent(
    dealer: Dealer,
    upstream: UpstreamServer,
    *,
    stream: bool,
) -> None:
    upstream.script.append(silence())
    dealer.send(op="generate", id="g", prompt="x", stream=stream)
    upstream.wait_generation()

    cancelled_at = time.monotonic()
    dealer.send(op="cancel", id="c", target="g")
    last, outcome = until_answered(dealer, "g", "c")

    assert error(last)["details"]["text"] == ""
    assert result(outcome) == {"cancelled": True}
    assert upstream.wait_disconnected() - cancelled_at < SOON_S


def test_cancel_by_number_from_another_client(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    dealer, other = daemon.dealer(), daemon.dealer()
    upstream.script.append(silence_after("half"))
    dealer.send(op="generate", id="g", prompt="x", stream=True)
    dealer.receive()
    (request,) = result(other.ask(op="status", id=1))["requests"]

    cancelled_at = time.monotonic()
    outcome = result(other.ask(op="cancel", id=2, request=request["request"]))

    assert outcome == {"cancelled": True}
    assert error(dealer.receive())["details"]["text"] == "half"
    assert upstream.wait_disconnected() - cancelled_at < SOON_S
    again = result(other.ask(op="cancel", id=3, request=request["request"]))
    assert again == {"cancelled": False}


def test_what_is_not_there_is_not_cancelled(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    owner, other = daemon.dealer(), daemon.dealer()
    owner.send(op="generate", id=7, prompt="x")
    upstream.wait_generation()

    for wrong in ({"target": 7}, {"target": "7"}, {"target": "x"}, {"request": 999}):
        assert result(other.ask(op="cancel", id=1, **wrong)) == {"cancelled": False}
    assert result(owner.ask(op="cancel", id=2, target="7")) == {"cancelled": False}
    assert result(owner.ask(op="cancel", id=3, target=3)) == {"cancelled": False}
    assert len(result(other.ask(op="status", id=4))["requests"]) == 1

    owner.send(op="cancel", id=5, target=7.0)  # as languages with one number type send it
    assert [reply["id"] for reply in until_answered(owner, 5)] == [7, 5]


def test_cancelled_twice_is_answered_once(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    dealer.send(op="generate", id="g", prompt="x")
    upstream.wait_generation()

    dealer.send(op="cancel", id=1, target="g")
    dealer.send(op="cancel", id=2, target="g")
    replies = until_answered(dealer, 1, 2)

    assert [reply["id"] for reply in replies].count("g") == 1
    assert replies[0]["id"] == "g"


def test_request_and_its_cancel_in_one_breath(dealer: Dealer) -> None:
    for number in range(50):
        dealer.send(op="generate", id=number, prompt="x")
        dealer.send(op="cancel", id="c", target=number)
        replies = until_answered(dealer, number, "c")
        assert [reply["id"] for reply in replies] == [number, "c"]
    assert result(dealer.ask(op="status", id="s"))["queue"]["running"] == 0


def test_queued_one_never_reaches_the_upstream(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("one", gate=gate))
    with start_daemon(short_dir, upstream, daemon_max_concurrency=1) as daemon:
        dealer = daemon.dealer()
        for name in ("runs", "waits", "last"):
            dealer.send(op="generate", id=name, prompt=name)
        wait_queue(daemon.dealer(), running=1, waiting=2)

        dealer.send(op="cancel", id="c", target="waits")
        cancelled, outcome = dealer.receive(), dealer.receive()
        assert (cancelled["id"], error(cancelled)["code"]) == ("waits", "cancelled")
        assert result(outcome) == {"cancelled": True}
        wait_queue(daemon.dealer(), running=1, waiting=1)

        gate.step(2)
        until_answered(dealer, "runs", "last")
        prompts = [each.body["messages"][0]["content"] for each in upstream.generations]
        assert prompts == ["runs", "last"]


def test_place_of_a_cancelled_one_is_free(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.extend([silence(), silence()])
    with start_daemon(short_dir, upstream, daemon_max_concurrency=1) as daemon:
        dealer = daemon.dealer()
        for number in range(3):
            dealer.send(op="generate", id=number, prompt="x")

        for number in range(2):
            upstream.wait_generation(number + 1)
            dealer.send(op="cancel", id="c", target=number)
            until_answered(dealer, number, "c")

        assert result(dealer.receive())["text"] == "Hello world"


def test_waiting_for_an_upstream_can_be_cancelled(short_dir: Path) -> None:
    with start_daemon(short_dir, f"http://127.0.0.1:{free_port()}/v1") as daemon:
        dealer = daemon.dealer()
        dealer.send(op="generate", id="g", prompt="x", wait=60)
        wait_status(daemon.dealer(), lambda report: len(report["requests"]) == 1)

        dealer.send(op="cancel", id="c", target="g")

        assert error(dealer.receive())["code"] == "cancelled"
        assert result(dealer.receive()) == {"cancelled": True}


def test_waiting_lists_can_be_cancelled(dealer: Dealer, upstream: UpstreamServer) -> None:
    generation = result(dealer.ask(op="list", id=0))["generation"]
    gate = Gate()
    upstream.models_reply = held(gate, listing({"id": "x"}))
    dealer.send(op="list", id=1, since=generation)
    dealer.send(op="list", id=2, refresh=True)

    for number in (1, 2):
        dealer.send(op="cancel", id="c", target=number)
        ended, outcome = until_answered(dealer, number, "c")
        assert error(ended)["code"] == "cancelled"
        assert result(outcome) == {"cancelled": True}
    assert result(dealer.ask(op="list", id=3))["generation"] == generation
    gate.step()
