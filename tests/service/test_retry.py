"""What is asked twice, and what is not."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.service.asking import (
    RARELY_S,
    error,
    held,
    listing,
    result,
    until_answered,
    wait_queue,
    wait_status,
)
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import (
    Reply,
    error_event,
    events,
    reset_after,
    status,
    tokens,
)
from tests.support.upstream_server import UpstreamServer

GONE = [
    "Model reloaded.",
    "Model unloaded.",
    "The model has crashed without additional information. (Exit code: 6)",
]
FINAL = ["Channel Error", "Error rendering prompt with jinja template: No user query found", "boom"]


def refusal(text: str) -> Reply:
    return status(400, {"error": text})


def failed_stream(text: str) -> Reply:
    return events({"error": {"message": text}})


# Every pair of two of them: each pauses for half a second.
@pytest.mark.parametrize(
    ("make", "text", "stream"),
    [
        (make, text, number % 2 == which)
        for which, make in enumerate((refusal, failed_stream))
        for number, text in enumerate(GONE)
    ],
)
def test_a_model_that_went_away_is_asked_once_more(
    dealer: Dealer,
    upstream: UpstreamServer,
    make: Callable[[str], Reply],
    text: str,
    *,
    stream: bool,
) -> None:
    upstream.script.extend([make(text), tokens("Hello")])
    lists = len(upstream.lists)
    dealer.send(op="generate", id=1, prompt="x", stream=stream)

    *_, last = until_answered(dealer, 1)

    assert result(last)["text"] == "Hello"
    first, second = upstream.generations
    assert first.body == second.body
    assert len(upstream.lists) > lists  # what is loaded is looked at in between
    assert second.received_at - first.received_at > 0.2


def test_a_model_that_goes_away_again_is_not_asked_a_third_time(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.extend([refusal("Model reloaded."), refusal("Model unloaded.")])

    refused = error(dealer.ask(op="generate", id=1, prompt="x"))

    assert refused["code"] == "upstream_error"
    assert "Model unloaded." in refused["message"]
    assert len(upstream.generations) == 2


@pytest.mark.parametrize("text", FINAL)
def test_other_errors_are_told_at_once(dealer: Dealer, upstream: UpstreamServer, text: str) -> None:
    upstream.script.append(refusal(text))

    assert error(dealer.ask(op="generate", id=1, prompt="x"))["code"] == "upstream_error"

    assert len(upstream.generations) == 1


@pytest.mark.parametrize("text", GONE)
def test_nothing_is_asked_again_after_the_first_word(
    dealer: Dealer, upstream: UpstreamServer, text: str
) -> None:
    upstream.script.append(error_event("Hel", error=text))

    broken = error(dealer.ask(op="generate", id=1, prompt="x"))

    assert (broken["code"], broken["details"]["text"]) == ("incomplete", "Hel")
    assert len(upstream.generations) == 1


def test_a_reset_is_asked_again_on_a_fresh_connection_only(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    """The first one comes on a connection that was kept: the server may have closed it before."""
    upstream.script.extend([reset_after(), reset_after()])

    assert error(dealer.ask(op="generate", id=1, prompt="x"))["code"] == "upstream_unavailable"

    kept, fresh = upstream.generations
    assert kept.connection != fresh.connection


def test_the_pause_can_be_cancelled(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(refusal("Model reloaded."))
    lists = len(upstream.lists)
    dealer.send(op="generate", id=1, prompt="x")
    upstream.wait_list(lists + 1)

    dealer.send(op="cancel", id=2, target=1)
    replies = until_answered(dealer, 1, 2)

    assert error(replies[0])["code"] == "cancelled"
    assert len(upstream.generations) == 1


def test_what_waits_to_be_asked_again_waits_in_the_queue(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.append(refusal("Model reloaded."))
    dealer.send(op="generate", id=1, prompt="x", progress=True)

    *told, last = until_answered(dealer, 1)

    assert [(each["state"], each["position"]) for each in told] == [
        ("waiting", None),
        ("queued", 0),
        ("waiting", None),
    ]
    timing = result(last)["timing"]
    assert timing["queued_s"] > 0.5 > timing["waiting_s"]


def test_the_next_one_has_its_turn_when_it_is_known_what_is_loaded(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    lists = Gate()
    upstream.script.append(refusal("Model reloaded."))
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=0)
        upstream.models_reply = held(lists, listing({"id": "a"}, {"id": "b"}))
        for name in ("first", "second"):
            dealer.send(op="generate", id=name, prompt=name)
        upstream.wait_list(2)

        wait_queue(daemon.dealer(), running=1, waiting=1)
        assert len(upstream.generations) == 1

        lists.step(5)
        upstream.wait_generation(3)
        until_answered(dealer, "first", "second")


def test_others_have_their_turn_during_the_pause_and_it_keeps_its_place(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.extend(
        [refusal("Model reloaded."), tokens("other", gate=gate), tokens("again")]
    )
    with start_daemon(
        short_dir, upstream, daemon_max_concurrency=1, daemon_poll_interval=RARELY_S
    ) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.ask(op="list", id=0)
        for name in ("first", "second", "third"):
            dealer.send(op="generate", id=name, prompt=name)
        upstream.wait_generation(2)
        wait_status(watcher, lambda report: report["queue"]["waiting"] == 2)
        gate.step(2)
        until_answered(dealer, "first", "second", "third")

    prompts = [each.body["messages"][0]["content"] for each in upstream.generations]
    assert prompts[:2] == ["first", "second"]
    assert sorted(prompts) == ["first", "first", "second", "third"]
