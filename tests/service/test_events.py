"""``subscribe``: what is told about each topic."""

import logging
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.service.asking import (
    AnyDict,
    error,
    listing,
    result,
    wait_status,
)
from tests.service.settings_asking import basic, save, wait_config
from tests.service.watching import Watcher
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_replies import status
from tests.support.upstream_server import UpstreamServer

SNAPSHOTS = ["models", "upstream", "config", "requests"]


def timeless(value: Any) -> Any:  # noqa: ANN401 - any data
    """Return *value* without what differs from one moment to the next."""
    if isinstance(value, dict):
        return {
            key: timeless(each) for key, each in value.items() if key not in {"age_s", "timing"}
        }
    return [timeless(each) for each in value] if isinstance(value, list) else value


# Subscribing -------------------------------------------------------------------------------


@pytest.mark.parametrize("as_json", [False, True])
def test_a_snapshot_of_each_topic_comes_first(
    daemon: RunningDaemon, dealer: Dealer, *, as_json: bool
) -> None:
    watcher = Watcher(daemon, as_json=as_json)

    told = {event["topic"]: event for event in [watcher.event() for _ in SNAPSHOTS]}

    assert list(told) == SNAPSHOTS
    assert all(event["snapshot"] and not event["missed"] for event in told.values())
    listed = result(dealer.ask(op="list", id=1))
    report = result(dealer.ask(op="status", id=2))
    assert timeless(told["models"]["data"]) == timeless(listed)
    assert timeless(told["upstream"]["data"]) == timeless(listed["source"])
    assert timeless(told["requests"]["data"]["requests"]) == timeless(report["requests"])
    assert told["config"]["data"] == {
        "config_generation": report["config"]["config_generation"],
        "changed": [],
        "valid": True,
        "error": None,
    }


def test_a_subscription_is_a_request_under_way(daemon: RunningDaemon, dealer: Dealer) -> None:
    watcher = Watcher(daemon, "config", client="test 1")
    watcher.snapshot()

    (request,) = result(dealer.ask(op="status", id=1))["requests"]

    assert (request["op"], request["state"], request["client"]) == (
        "subscribe",
        "streaming",
        "test 1",
    )


def test_each_topic_counts_once_and_the_log_has_no_snapshot(daemon: RunningDaemon) -> None:
    watcher = Watcher(daemon, "log", "config", "upstream", "config")

    assert [watcher.event()["topic"], watcher.event()["topic"]] == ["config", "upstream"]
    watcher.send(op="ping", id="p")
    assert result(watcher.receive())


@pytest.mark.parametrize("topics", [[], ["nonsense"], "models", ["models"] * 17])
def test_topics_that_are_none_are_refused(dealer: Dealer, topics: object) -> None:
    refused = error(dealer.ask(op="subscribe", id=1, topics=topics))
    assert refused["code"] == "bad_request"


def test_a_req_socket_cannot_subscribe(daemon: RunningDaemon) -> None:
    refused = error(daemon.dealer(zmq.REQ).ask(op="subscribe", id=1))
    assert refused["code"] == "bad_request"


# models, upstream --------------------------------------------------------------------------


def test_models_are_told_as_list_would(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    watcher = Watcher(daemon, "models")
    before = watcher.snapshot()
    upstream.models = ["a", "c"]

    listed = result(dealer.ask(op="list", id=1, refresh=True))

    news = watcher.news()
    assert timeless(news) == timeless(listed)
    assert news["generation"] == before["generation"] + 1
    result(dealer.ask(op="select", id=2, model="c", persist=False))
    assert watcher.news()["selection"]["model"] == "c"


def test_a_list_that_fails_is_told_although_the_models_stay(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    watcher, other = Watcher(daemon, "upstream"), Watcher(daemon, "models")
    assert not watcher.snapshot()["stale"]
    generation = other.snapshot()["generation"]
    upstream.models_reply = status(500, {"error": {"message": "out of order"}})

    listed = result(dealer.ask(op="list", id=1, refresh=True))

    news = watcher.news()
    assert timeless(news) == timeless(listed["source"])
    assert (news["stale"], news["reachable"]) == (True, True)
    assert news["error"]["code"] == "upstream_error"
    upstream.models_reply = None
    dealer.ask(op="list", id=2, refresh=True)
    assert watcher.news()["error"] is None
    upstream.models_reply = listing({"id": "z"})
    dealer.ask(op="list", id=3, refresh=True)
    assert other.news()["generation"] == generation + 1  # the two before were none


def test_an_upstream_that_goes_is_told_in_one_event_a_topic(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    watcher = Watcher(daemon, "models", "upstream")
    watcher.snapshot()
    watcher.snapshot()
    upstream.stop()

    dealer.ask(op="list", id=1, refresh=True)

    told = {event["topic"]: event["data"] for event in (watcher.event(), watcher.event())}
    assert told["models"]["warnings"][0]["code"] == "stale"
    assert told["upstream"]["error"]["code"] == "upstream_unavailable"
    watcher.send(op="ping", id="p")
    assert watcher.receive()["type"] == "result"


def test_another_server_is_never_seen_half(short_dir: Path, upstream: UpstreamServer) -> None:
    with UpstreamServer(["x", "y"]) as other, start_daemon(short_dir, upstream) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)
        watcher = Watcher(daemon, "models")
        watcher.snapshot()

        save(short_dir / "config.toml", **basic(other))

        moved, listed = watcher.news(), watcher.news()
        assert (moved["source"]["api_base"], moved["source"]["reachable"]) == (other.url, False)
        assert [warning["code"] for warning in moved["warnings"]] == ["fallback"]
        assert [model["id"] for model in listed["models"]] == ["x", "y"]


# config ------------------------------------------------------------------------------------


def test_changes_of_the_settings_are_told_by_key(
    short_dir: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    path = short_dir / "config.toml"
    save(path, **basic(upstream))
    with start_daemon(short_dir, upstream, config=path) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)
        watcher = Watcher(daemon, "config", "log")
        before = watcher.snapshot()["config_generation"]

        save(path, **basic(upstream, llm_api_key="sk-very-secret", llm_max_tokens=7))
        told = events_until(watcher, "config")
        assert told[-1]["data"] == {
            "config_generation": before + 1,
            "changed": ["llm_max_tokens", "llm_api_key"],
            "valid": True,
            "error": None,
        }

        path.write_text('[llm]\nmax_tokens = "many"\napi_key = sk-very-secret\n')
        told += events_until(watcher, "config")
        assert told[-1]["data"] == {
            "config_generation": before + 1,
            "changed": [],
            "valid": False,
            "error": wait_config(dealer, valid=False)["error"],
        }

        save(path, **basic(upstream, llm_api_key="sk-very-secret", llm_max_tokens=7))
        told += events_until(watcher, "config")
        assert told[-1]["data"] == {
            "config_generation": before + 1,
            "changed": [],
            "valid": True,
            "error": None,
        }
        assert any(event["topic"] == "log" for event in told)
        assert "sk-very-secret" not in str(told)


def events_until(watcher: Watcher, topic: str) -> list[AnyDict]:
    """Return all events up to the next one of *topic*."""
    told = [watcher.event()]
    while told[-1]["topic"] != topic:
        told.append(watcher.event())
    return told


# log ---------------------------------------------------------------------------------------


def test_lines_of_the_log_are_told_and_cause_no_more(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    watcher = Watcher(daemon, "log")
    wait_status(dealer, lambda report: report["requests"] != [])
    upstream.stop()
    dealer.ask(op="list", id=1, refresh=True)

    news = watcher.news()

    assert set(news) == {"level", "message", "fields"}
    assert (news["level"], news["fields"]) == ("warning", {})
    assert "no model list" in news["message"]
    logging.getLogger("devsynthd.x").error("and %s", "this", extra={"fields": {"at": Path("/p")}})
    assert watcher.news() == {"level": "error", "message": "and this", "fields": {"at": "/p"}}
    watcher.send(op="ping", id="p")
    assert watcher.receive()["type"] == "result"
