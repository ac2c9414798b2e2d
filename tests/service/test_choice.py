"""Which model answers, and that it is never another one than was named."""

from pathlib import Path

import pytest

from tests.service.asking import RARELY_S, error, listing, result
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_replies import completion, events, piece, status, tokens, usage
from tests.support.upstream_server import UpstreamServer


def sent_model(upstream: UpstreamServer) -> str:
    model: str = upstream.generations[-1].body["model"]
    return model


def test_request_beats_select_beats_setting_beats_the_list(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.models = ["auto", "set", "selected", "asked"]
    with start_daemon(short_dir, upstream, llm_model="set") as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="generate", id=1, prompt="x")
        assert sent_model(upstream) == "set"
        dealer.ask(op="select", id=2, model="selected", persist=False)
        dealer.ask(op="generate", id=3, prompt="x")
        assert sent_model(upstream) == "selected"
        dealer.ask(op="generate", id=4, prompt="x", model="asked")
        assert sent_model(upstream) == "asked"
        dealer.ask(op="generate", id=5, prompt="x")
        assert sent_model(upstream) == "selected"


@pytest.mark.parametrize(
    ("owners", "chosen"),
    [
        (["x", "x", "x"], "m0"),
        (["x", "llamacpp", "llamacpp"], "m1"),
    ],
)
def test_first_loaded_one_is_chosen_else_the_first(
    dealer: Dealer, upstream: UpstreamServer, owners: list[str], chosen: str
) -> None:
    upstream.models_reply = listing(
        *({"id": f"m{number}", "owned_by": owner} for number, owner in enumerate(owners))
    )
    dealer.ask(op="list", id=1, refresh=True)

    assert result(dealer.ask(op="generate", id=2, prompt="x"))["model"] == chosen


def test_no_model_is_named_and_auto_selection_is_off(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream, llm_auto_select_model=False) as daemon:
        dealer = daemon.dealer()

        problem = error(dealer.ask(op="generate", id=1, prompt="x"))

        assert problem["code"] == "no_model"
        assert "llm_auto_select_model" in problem["message"]
        assert "select" in problem["hint"]
        assert upstream.generations == []
        selection = result(dealer.ask(op="list", id=2))["selection"]
        assert (selection["model"], selection["how"]) == (None, "none")
        assert result(dealer.ask(op="generate", id=3, prompt="x", model="b"))["model"] == "b"


def test_no_model_is_listed(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.models = []
    listed = result(dealer.ask(op="list", id=1, refresh=True))

    problem = error(dealer.ask(op="generate", id=2, prompt="x"))

    assert listed["models"] == []
    assert problem["code"] == "no_model"
    assert upstream.url in problem["message"]


@pytest.mark.parametrize("by", ["request", "setting"])
def test_named_model_that_is_missing_is_not_replaced(
    short_dir: Path, upstream: UpstreamServer, by: str
) -> None:
    named = "qwen3" if by == "setting" else ""
    fields = {"model": "qwen3"} if by == "request" else {}
    upstream.models = ["qwen2", "other"]
    with start_daemon(
        short_dir, upstream, llm_model=named, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)
        polls = len(upstream.lists)

        problem = error(dealer.ask(op="generate", id=2, prompt="x", **fields))

        assert problem["code"] == "model_not_found"
        assert not problem["retryable"]
        assert "qwen3" in problem["message"]
        assert upstream.url in problem["message"]
        assert problem["details"]["near"] == ["qwen2"]
        assert "devsynthctl models" in problem["hint"]
        assert upstream.generations == []
        assert len(upstream.lists) == polls + 1  # it may have been added since


def test_other_model_that_answered_is_told(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(tokens("hi", model="another"))

    answer = result(dealer.ask(op="generate", id=1, prompt="x", model="a"))

    assert answer["model"] == "another"
    (warning,) = answer["warnings"]
    assert warning["code"] == "other_model"
    assert "another" in warning["message"]
    assert "a" in warning["message"]


@pytest.mark.parametrize("name", ["a", "a:2"])
def test_instance_of_the_model_is_no_other_model(
    dealer: Dealer, upstream: UpstreamServer, name: str
) -> None:
    upstream.script.append(tokens("hi", model=name))

    answer = result(dealer.ask(op="generate", id=1, prompt="x", model="a"))

    assert (answer["model"], answer["warnings"]) == (name, [])


def test_answer_cut_at_the_limit_is_told(dealer: Dealer, upstream: UpstreamServer) -> None:
    cut = piece("hi", finish_reason="length", model="a")
    upstream.script.append(events(cut, usage(model="a"), "[DONE]"))

    answer = result(dealer.ask(op="generate", id=1, prompt="x", max_tokens=2))

    assert answer["finish_reason"] == "length"
    (warning,) = answer["warnings"]
    assert warning["code"] == "truncated"
    assert "llm_max_tokens" in warning["message"]
    assert "2 tokens" in warning["message"]


def test_server_that_does_not_stream_answers_too(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(completion("whole", model="a"))

    answer = result(dealer.ask(op="generate", id=1, prompt="x"))

    assert (answer["text"], answer["warnings"]) == ("whole", [])


def test_model_that_the_upstream_has_lost_starts_a_poll(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    generation = result(dealer.ask(op="list", id=1))["generation"]
    missing = {"error": {"code": "model_not_found", "message": "model 'a' not found"}}
    upstream.script.append(status(404, missing))
    upstream.models = ["b"]

    problem = error(dealer.ask(op="generate", id=2, prompt="x", model="a"))

    assert problem["code"] == "model_not_found"
    listed = result(dealer.ask(op="list", id=3, since=generation, timeout=9))
    assert [model["id"] for model in listed["models"]] == ["b"]
