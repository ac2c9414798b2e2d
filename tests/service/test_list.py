"""``list``: the models, filtered, refreshed and waited for."""

import time
from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import (
    RARELY_S,
    error,
    held,
    listing,
    result,
    until_answered,
    wait_status,
)
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_server import UpstreamServer

LOADED = {"id": "running", "owned_by": "llamacpp", "meta": {"n_ctx": 4096, "n_params": 1.5e9}}
UNKNOWN = {"id": "listed", "owned_by": "someone"}


def ids(reply: dict[str, Any]) -> list[str]:
    return [model["id"] for model in result(reply)["models"]]


def codes(reply: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in result(reply)["warnings"]]


def test_list_has_models_selection_and_source(dealer: Dealer, upstream: UpstreamServer) -> None:
    reply = result(dealer.ask(op="list", id=1))

    assert set(reply) == {"generation", "models", "selection", "source", "warnings"}
    assert reply["generation"] >= 1
    assert reply["warnings"] == []
    assert reply["models"][0] == {
        "id": "a",
        "name": "a",
        "owner": "tests",
        "kind": "unknown",
        "loaded": None,
        "instances": [],
        "context_length": None,
        "max_context_length": None,
        "architecture": None,
        "quantization": None,
        "format": None,
        "size_bytes": None,
        "parameters": None,
        "vision": None,
        "tool_use": None,
        "selected": True,
    }
    assert [model["selected"] for model in reply["models"]] == [True, False]
    selection = reply["selection"]
    assert (selection["model"], selection["how"], selection["available"]) == ("a", "auto", True)
    assert selection["reason"]
    source = reply["source"]
    assert (source["api_base"], source["api"]) == (upstream.url, "openai")
    assert (source["reachable"], source["stale"], source["error"]) == (True, False, None)


def test_first_loaded_model_is_selected(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.models_reply = listing(UNKNOWN, LOADED)

    reply = result(dealer.ask(op="list", id=1, refresh=True))

    assert [model["selected"] for model in reply["models"]] == [False, True]
    assert reply["models"][1]["instances"] == [{"id": "running", "context_length": 4096}]
    assert reply["selection"]["model"] == "running"


@pytest.mark.parametrize(
    ("fields", "expected", "warnings"),
    [
        ({}, ["listed", "running"], []),
        ({"loaded": True}, ["running"], ["state_unknown"]),
        ({"kind": "llm"}, ["listed", "running"], []),  # unknown kinds may well chat
        ({"kind": "embedding"}, [], ["kind_unknown"]),
        ({"kind": "llm", "loaded": True}, ["running"], ["state_unknown"]),
        ({"kind": None, "loaded": False}, ["listed", "running"], []),
    ],
)
def test_filters(
    dealer: Dealer,
    upstream: UpstreamServer,
    fields: dict[str, Any],
    expected: list[str],
    warnings: list[str],
) -> None:
    upstream.models_reply = listing(UNKNOWN, LOADED)

    reply = dealer.ask(op="list", id=1, refresh=True, **fields)

    assert ids(reply) == expected
    assert codes(reply) == warnings


def test_refresh_asks_the_upstream(dealer: Dealer, upstream: UpstreamServer) -> None:
    first = dealer.ask(op="list", id=1)
    upstream.models = ["c"]

    assert ids(dealer.ask(op="list", id=2)) == ["a", "b"]
    fresh = dealer.ask(op="list", id=3, refresh=True)

    assert ids(fresh) == ["c"]
    assert result(fresh)["generation"] > result(first)["generation"]
    assert len(upstream.lists) == 2


def test_same_list_again_is_no_new_generation(dealer: Dealer, upstream: UpstreamServer) -> None:
    generations = [
        result(dealer.ask(op="list", id=number, refresh=True))["generation"] for number in range(3)
    ]

    assert len(set(generations)) == 1
    assert len(upstream.lists) >= 3


def test_max_age_refreshes_only_an_older_list(dealer: Dealer, upstream: UpstreamServer) -> None:
    dealer.ask(op="list", id=1)
    upstream.models = ["c"]

    assert ids(dealer.ask(op="list", id=2, max_age=1000)) == ["a", "b"]
    assert len(upstream.lists) == 1
    assert ids(dealer.ask(op="list", id=3, max_age=0)) == ["c"]
    assert len(upstream.lists) == 2


def test_since_another_generation_is_answered_at_once(dealer: Dealer) -> None:
    generation = result(dealer.ask(op="list", id=1))["generation"]

    for other in (0, generation - 1, generation + 1):
        assert result(dealer.ask(op="list", id=2, since=other))["generation"] == generation


def test_since_waits_for_a_change(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    dealer, other = daemon.dealer(), daemon.dealer()
    generation = result(dealer.ask(op="list", id=1))["generation"]
    dealer.send(op="list", id="waits", since=generation, timeout=10)
    wait_status(other, lambda report: len(report["requests"]) == 1)

    result(other.ask(op="list", id=2, refresh=True))  # the same as before
    assert len(result(other.ask(op="status", id=3))["requests"]) == 1
    upstream.models = ["c"]
    other.ask(op="list", id=4, refresh=True)

    (reply,) = until_answered(dealer, "waits")
    assert ids(reply) == ["c"]
    assert result(reply)["generation"] == generation + 1


def test_since_is_answered_when_the_selection_changes(daemon: RunningDaemon) -> None:
    dealer, other = daemon.dealer(), daemon.dealer()
    generation = result(dealer.ask(op="list", id=1))["generation"]
    dealer.send(op="list", id="waits", since=generation)

    other.ask(op="select", id=2, model="b", persist=False)

    (reply,) = until_answered(dealer, "waits")
    assert result(reply)["selection"]["model"] == "b"
    assert result(reply)["generation"] > generation


def test_since_gets_the_unchanged_list_at_its_timeout(dealer: Dealer) -> None:
    generation = result(dealer.ask(op="list", id=1))["generation"]

    began = time.monotonic()
    reply = dealer.ask(op="list", id=2, since=generation, timeout=0.2)

    assert time.monotonic() - began >= 0.15
    assert result(reply)["generation"] == generation
    assert ids(reply) == ["a", "b"]


def test_other_lists_fail_at_their_timeout(dealer: Dealer, upstream: UpstreamServer) -> None:
    dealer.ask(op="list", id=1)
    upstream.models_reply = held(Gate(), listing(UNKNOWN))

    reply = dealer.ask(op="list", id=2, refresh=True, timeout=0.1)

    assert error(reply)["code"] == "deadline_exceeded"


def test_concurrent_refreshes_share_one_request(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    watcher = daemon.dealer()
    watcher.ask(op="list", id=1)
    gate = Gate()
    upstream.models_reply = held(gate, listing(UNKNOWN))
    clients = [daemon.dealer() for _ in range(3)]
    for client in clients:
        client.send(op="list", id=1, refresh=True)
        client.send(op="list", id=2, max_age=0)
    wait_status(watcher, lambda report: len(report["requests"]) == 6)

    gate.step(6)

    for client in clients:
        assert [ids(reply) for reply in until_answered(client, 1, 2)] == [["listed"]] * 2
    assert len(upstream.lists) == 2  # with the one at the start


def test_first_list_waits_for_the_first_poll(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.models_reply = held(gate, listing(UNKNOWN))
    with start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.send(op="list", id=1)
        wait_status(watcher, lambda report: len(report["requests"]) == 1)
        upstream.wait_list()

        gate.step()

        assert ids(dealer.receive()) == ["listed"]
        assert len(upstream.lists) == 1


def test_list_does_not_wait_for_a_silent_upstream_for_ever(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.models_reply = held(Gate(), listing(UNKNOWN))
    with start_daemon(short_dir, upstream, llm_connect_timeout=0.1) as daemon:
        reply = daemon.dealer().ask(op="list", id=1)

        assert ids(reply) == ["local_model"]
        assert codes(reply) == ["fallback"]


def test_model_of_ten_thousand_in_order(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.models = [f"vendor/model-{number}" for number in range(10_000)]

    assert ids(dealer.ask(op="list", id=1, refresh=True)) == upstream.models
