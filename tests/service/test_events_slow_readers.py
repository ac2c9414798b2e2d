"""Readers of events that do not read: nobody waits for them, and they learn what they missed."""

import logging
import time
from pathlib import Path

import pytest

from devsynthd.service.subscription import MAX_BACKLOG_EVENTS
from tests.service.asking import (
    RARELY_S,
    AnyDict,
    error,
    listing,
    result,
    told,
    until_answered,
    wait_status,
)
from tests.service.watching import Watcher
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_replies import silence, tokens
from tests.support.upstream_server import UpstreamServer

logger = logging.getLogger("devsynthd.tests")

PADDING = "x" * 10_000
FLOOD = 4000
"""Lines of the log: more than the transport and the backlog hold."""


def log_watcher(daemon: RunningDaemon, dealer: Dealer) -> Watcher:
    """Return a reader of the log, once its subscription has begun."""
    watcher = Watcher(daemon, "log", receive_high_water=1)
    wait_status(dealer, lambda report: report["requests"] != [])
    return watcher


def flood(dealer: Dealer) -> None:
    """Log much, and wait until the daemon has told it."""
    for number in range(FLOOD):
        if number % 100 == 0:
            result(dealer.ask(op="ping", id=number))
        logger.error("%d", number, extra={"fields": {"padding": PADDING}})
    result(dealer.ask(op="ping", id="flooded"))


def read_until(watcher: Watcher, last: str) -> list[AnyDict]:
    """Return all events up to the line *last* of the log."""
    events = [watcher.event()]
    while events[-1]["data"].get("message") != last:
        events.append(watcher.event())
    return events


def test_a_slow_reader_learns_what_it_missed_and_nobody_waits(
    daemon: RunningDaemon, dealer: Dealer, upstream: UpstreamServer
) -> None:
    watcher = Watcher(daemon, "log", "models", "requests", receive_high_water=1)
    watcher.snapshot()
    watcher.snapshot()
    flood(dealer)
    for number in range(5):
        upstream.models_reply = listing({"id": f"model-{number}"})
        result(dealer.ask(op="list", id=number, refresh=True))
    words = [f"{number} " for number in range(2000)]
    upstream.script.append(tokens(*words))
    dealer.send(op="generate", id="g", prompt="x", stream=True)
    *chunks, last = until_answered(dealer, "g")
    assert told(chunks) == "".join(words) == result(last)["text"]

    events = read_until(watcher, "0")
    while sum(each["topic"] == "log" for each in events) < 100:
        events.append(watcher.event())
    # It reads: soon there is room for a line that says how many are not there.
    while not any(each["missed"] for each in events if each["topic"] == "log"):
        logger.error("room?")
        events.append(watcher.event())

    lines = [each for each in events if each["topic"] == "log"]
    counted = sum(each["missed"] for each in lines)
    numbers = [int(message) for each in lines if (message := each["data"]["message"]).isdigit()]
    assert numbers == list(range(len(numbers)))
    assert 0 < FLOOD - len(numbers) <= counted
    while not any(each["snapshot"] and each["missed"] for each in events):
        events.append(watcher.event())
    *waited, made_up = [each for each in events if each["topic"] == "models"]
    assert made_up["snapshot"]
    assert len(waited) + made_up["missed"] == 5
    assert [model["id"] for model in made_up["data"]["models"]] == ["model-4"]


def test_what_a_suspended_reader_holds_is_bounded_and_lasts(
    short_dir: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    with start_daemon(short_dir, upstream, stall_s=0.2, daemon_poll_interval=RARELY_S) as daemon:
        dealer = daemon.dealer()
        dealer.ask(op="list", id=1)
        watcher = log_watcher(daemon, dealer)
        upstream.script.append(silence())
        watcher.send(op="generate", id="g", prompt="x")
        upstream.wait_generation()
        flood(dealer)
        before = result(dealer.ask(op="status", id=2))["memory_bytes"]

        flood(dealer)
        flood(dealer)

        upstream.wait_disconnected()  # what it asked for besides is ended as ever
        report = wait_status(dealer, lambda report: len(report["requests"]) == 1)
        # Had it been kept, it would be 80 MB; the records that pytest keeps are a tenth of that.
        assert report["memory_bytes"] - before < 40 * 2**20
        assert [each["op"] for each in report["requests"]] == ["subscribe"]
        stalled_at = time.monotonic()
        while time.monotonic() < stalled_at + 1:  # five times the time that makes a stall
            result(dealer.ask(op="ping", id=3))
        assert len(stalls(caplog)) == 1

        events = [watcher.receive()]
        while sum(each.get("missed", 0) + 1 for each in events) <= 3 * FLOOD:
            logger.error("room?")
            events.append(watcher.receive())
        assert len(events) < MAX_BACKLOG_EVENTS + FLOOD
        (ended,) = [each for each in events if each["type"] == "error"]
        assert (ended["id"], error(ended)["code"]) == ("g", "cancelled")


def stalls(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.message for each in caplog.records if "has not read" in each.message]


def test_a_suspended_reader_does_not_keep_a_daemon_that_stops(
    short_dir: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    with start_daemon(short_dir, upstream, stall_s=0.2, daemon_shutdown_grace=60) as daemon:
        dealer = daemon.dealer()
        watcher = log_watcher(daemon, dealer)
        flood(dealer)
        wait_status(dealer, lambda _: len(stalls(caplog)) == 1)

        dealer.ask(op="shutdown", id="bye")

        daemon.wait_ended()
        assert watcher.event()["topic"] == "log"


def test_nor_does_one_that_has_only_just_stopped_to_read(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        dealer = daemon.dealer()
        watcher = log_watcher(daemon, dealer)
        flood(dealer)

        dealer.ask(op="shutdown", id="bye")

        daemon.wait_ended()
        assert watcher.event()["topic"] == "log"


def test_what_a_client_streams_and_what_it_watches_share_one_line(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    words = [f"{number} {PADDING}" for number in range(1000)]
    upstream.script.append(tokens(*words))
    watcher = Watcher(daemon, "requests", receive_high_water=1)
    watcher.snapshot()
    watcher.send(op="generate", id="g", prompt="x", stream=True)

    replies = until_answered(watcher.dealer, "g")

    assert told([each for each in replies if each["type"] == "chunk"]) == "".join(words)
    events = [each for each in replies if each["type"] == "event"]
    while not events or events[-1]["data"]["requests"][0]["state"] != "done":
        events.append(watcher.event())
    assert [each["data"]["requests"][0]["state"] for each in events] == [
        "queued",
        "waiting",
        "streaming",
        "done",
    ]


def test_a_slow_reader_can_still_cancel(daemon: RunningDaemon, dealer: Dealer) -> None:
    watcher = log_watcher(daemon, dealer)
    flood(dealer)
    watcher.send(op="cancel", id="c", target="w")

    replies = until_answered(watcher.dealer, "c")

    assert [each["type"] for each in replies[-2:]] == ["error", "result"]
    assert error(replies[-2])["code"] == "cancelled"
