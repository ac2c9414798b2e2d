"""``timeout`` and ``sent``: nothing runs longer, or later, than its client waits for it."""

import time
from pathlib import Path

import pytest

from tests.service.asking import SOON_S, error, result, told, until_answered, wait_queue
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_replies import silence, silence_after
from tests.support.upstream_server import UpstreamServer, free_port

TIMEOUT_S = 0.29987  # as clients send what is left of 0.3 s


def test_deadline_in_silence(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    sent_at = time.monotonic()

    problem = error(dealer.ask(op="generate", id=1, prompt="x", timeout=TIMEOUT_S))

    assert problem["code"] == "deadline_exceeded"
    assert not problem["retryable"]
    assert problem["message"] == (
        "generate with a was not done within the 0.3 s that it had: it was still waiting"
    )
    assert problem["hint"].startswith("give it more time: `devsynthctl --timeout S`")
    assert problem["details"]["text"] == ""
    assert TIMEOUT_S <= upstream.wait_disconnected() - sent_at < TIMEOUT_S + SOON_S


def test_deadline_in_the_middle_of_an_answer(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(silence_after("one ", "two"))
    sent_at = time.monotonic()
    dealer.send(op="generate", id=1, prompt="x", stream=True, timeout=TIMEOUT_S)

    *chunks, last = until_answered(dealer, 1)

    assert error(last)["code"] == "deadline_exceeded"
    assert error(last)["details"]["text"] == told(chunks) == "one two"
    assert TIMEOUT_S <= upstream.wait_disconnected() - sent_at < TIMEOUT_S + SOON_S


def test_deadline_in_the_queue(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    with start_daemon(short_dir, upstream, daemon_max_concurrency=1) as daemon:
        dealer = daemon.dealer()
        dealer.send(op="generate", id="runs", prompt="x")

        assert error(dealer.ask(op="generate", id=1, prompt="x", timeout=0.1))["code"] == (
            "deadline_exceeded"
        )

        wait_queue(dealer, running=1, waiting=0)
        assert len(upstream.generations) == 1


def test_deadline_while_waiting_for_an_upstream(short_dir: Path) -> None:
    with start_daemon(short_dir, f"http://127.0.0.1:{free_port()}/v1") as daemon:
        reply = daemon.dealer().ask(op="generate", id=1, prompt="x", wait=60, timeout=0.1)

        assert error(reply)["code"] == "deadline_exceeded"


def test_time_on_the_way_is_taken_off(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    began = time.monotonic()

    reply = dealer.ask(op="generate", id=1, prompt="x", timeout=60, sent=time.time() - 59.8)

    assert error(reply)["code"] == "deadline_exceeded"
    assert time.monotonic() - began < 5
    upstream.wait_disconnected()


@pytest.mark.parametrize("age_s", [10, 1e6, None])
def test_what_comes_too_late_does_not_run(
    dealer: Dealer, upstream: UpstreamServer, age_s: float | None
) -> None:
    sent = 0 if age_s is None else time.time() - age_s

    reply = dealer.ask(op="generate", id=1, prompt="x", timeout=5, sent=sent)

    assert error(reply)["code"] == "deadline_exceeded"
    assert error(reply)["details"]["text"] == ""
    assert upstream.generations == []
    late = error(dealer.ask(op="list", id=2, timeout=5, sent=sent))
    assert late["code"] == "deadline_exceeded"


def test_without_a_timeout_sent_has_no_effect(dealer: Dealer) -> None:
    assert result(dealer.ask(op="generate", id=1, prompt="x", sent=time.time() - 1e6))


def test_clock_that_is_ahead_gives_no_more_time(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())

    reply = dealer.ask(op="generate", id=1, prompt="x", timeout=0.1, sent=time.time() + 1000)

    assert error(reply)["code"] == "deadline_exceeded"


def test_timely_answer_is_not_disturbed(dealer: Dealer) -> None:
    for number in range(20):
        assert result(dealer.ask(op="generate", id=number, prompt="x", timeout=5))["text"]
    assert result(dealer.ask(op="status", id="s"))["totals"]["errors"] == {}
