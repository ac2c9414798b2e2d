"""``select``: the model that answers from now on."""

from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import RARELY_S, error, result
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_server import UpstreamServer, free_port


def codes(outcome: dict[str, Any]) -> list[str]:
    return [warning["code"] for warning in outcome["warnings"]]


def answering(dealer: Dealer) -> str:
    """Return the model that answers a request that names none."""
    model: str = result(dealer.ask(op="generate", id="who", prompt="x"))["model"]
    return model


def test_selected_model_answers_and_is_shown(daemon: RunningDaemon, dealer: Dealer) -> None:
    outcome = result(dealer.ask(op="select", id=1, model="b", persist=False))

    assert outcome["selection"]["model"] == "b"
    assert outcome["selection"]["how"] == "selected"
    assert outcome["selection"]["available"] is True
    assert outcome["previous"] is None
    assert outcome["persisted"] is False
    assert outcome["warnings"] == []
    assert answering(dealer) == "b"
    other = result(daemon.dealer().ask(op="list", id=1))
    assert [model["selected"] for model in other["models"]] == [False, True]
    assert other["selection"] == outcome["selection"]


def test_previous_is_the_model_named_before(dealer: Dealer) -> None:
    dealer.ask(op="select", id=1, model="b", persist=False)

    outcome = result(dealer.ask(op="select", id=2, model="a", persist=False))

    assert outcome["previous"] == "b"


def test_unknown_model_is_refused_with_near_matches(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.models = ["qwen/qwen3-8b", "google/gemma-3"]
    dealer.ask(op="list", id=1, refresh=True)

    problem = error(dealer.ask(op="select", id=2, model="qwen/qwen3-9b"))

    assert problem["code"] == "model_not_found"
    assert "qwen/qwen3-9b" in problem["message"]
    assert upstream.url in problem["message"]
    assert problem["details"]["near"] == ["qwen/qwen3-8b"]
    assert "did you mean qwen/qwen3-8b?" in problem["hint"]
    assert answering(dealer) == "qwen/qwen3-8b"  # as before


def test_ids_are_case_sensitive(dealer: Dealer) -> None:
    assert error(dealer.ask(op="select", id=1, model="A"))["code"] == "model_not_found"


def test_force_takes_a_model_that_is_not_listed(dealer: Dealer, upstream: UpstreamServer) -> None:
    outcome = result(dealer.ask(op="select", id=1, model="x", force=True, persist=False))

    assert outcome["selection"]["model"] == "x"
    assert outcome["selection"]["available"] is False
    assert codes(outcome) == ["not_listed"]
    # And still: never another model in its place.
    assert error(dealer.ask(op="generate", id=2, prompt="x"))["code"] == "model_not_found"
    assert upstream.generations == []


def test_null_chooses_automatically_again(dealer: Dealer) -> None:
    dealer.ask(op="select", id=1, model="b", persist=False)

    outcome = result(dealer.ask(op="select", id=2, model=None, persist=False))

    assert outcome["previous"] == "b"
    assert outcome["selection"]["how"] == "auto"
    assert answering(dealer) == "a"


@pytest.mark.parametrize("configured", ["a", ""])
def test_select_beats_llm_model_and_null_ends_both(
    short_dir: Path, upstream: UpstreamServer, configured: str
) -> None:
    with start_daemon(
        short_dir, upstream, llm_model=configured, llm_auto_select_model=False
    ) as daemon:
        dealer = daemon.dealer()

        outcome = result(dealer.ask(op="select", id=1, model="b", persist=False))
        assert outcome["previous"] == (configured or None)
        assert answering(dealer) == "b"

        outcome = result(dealer.ask(op="select", id=2, model=None, persist=False))
        assert outcome["selection"]["how"] == "auto"  # auto-selection is on now
        assert answering(dealer) == "a"


def test_model_that_the_last_list_had_can_be_selected_while_the_upstream_is_off(
    short_dir: Path,
) -> None:
    with (
        UpstreamServer(["a", "b"]) as upstream,
        start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon,
    ):
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)
        upstream.stop()
        dealer.ask(op="list", id=2, refresh=True)

        outcome = result(dealer.ask(op="select", id=3, model="b", persist=False))
        assert outcome["selection"]["model"] == "b"
        assert outcome["selection"]["available"] is False
        assert error(dealer.ask(op="select", id=4, model="c"))["code"] == "model_not_found"


def test_without_any_list_only_force_selects(short_dir: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"
    with start_daemon(short_dir, url) as daemon:
        dealer = daemon.dealer()

        problem = error(dealer.ask(op="select", id=1, model="a"))
        assert problem["code"] == "upstream_unavailable"
        assert url in problem["message"]

        outcome = result(dealer.ask(op="select", id=2, model="a", force=True, persist=False))
        assert outcome["selection"]["model"] == "a"
        assert codes(outcome) == ["not_listed"]


def test_model_added_since_the_last_poll_can_be_named(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    dealer.ask(op="list", id=1)
    upstream.models = ["a", "b", "new"]

    assert result(dealer.ask(op="generate", id=2, prompt="x", model="new"))["model"] == "new"
    assert result(dealer.ask(op="select", id=3, model="new", persist=False))
