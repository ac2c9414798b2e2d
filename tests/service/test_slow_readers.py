"""Clients that stop reading: what waits for them is bounded, and nobody else waits with them."""

import time
from pathlib import Path

import pytest

from tests.service.asking import error, result, told, until_answered, wait_status
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import silence, tokens
from tests.support.upstream_server import UpstreamServer

WORDS = [f"{number:->8000}" for number in range(5000)]  # 40 MB
PACED = 400
BACKLOG_BYTES = 30 * 2**20
"""What may have been read upstream for a client that takes nothing, socket buffers included."""


def stalled_stream(daemon: RunningDaemon, upstream: UpstreamServer, watcher: Dealer) -> Dealer:
    """Return a client that is streamed `WORDS` and reads nothing, once nothing moves any more."""
    gate = Gate()
    upstream.script.append(tokens(*WORDS, gate=gate))
    client = daemon.dealer(receive_high_water=1)
    client.send(op="generate", id="s", prompt="x", stream=True)
    exchange = upstream.wait_generation()
    for _ in range(PACED):  # one by one, so that each is a chunk of its own
        sent = exchange.bytes_sent
        gate.step()
        while exchange.bytes_sent == sent:
            watcher.ask(op="ping", id="p")
        watcher.ask(op="ping", id="p")
    gate.step(len(WORDS))
    wait_until_it_stalls(exchange, watcher)
    assert exchange.bytes_sent < BACKLOG_BYTES
    return client


def wait_until_it_stalls(exchange: Exchange, watcher: Dealer) -> None:
    """Wait until the upstream cannot send more."""
    sent = -1
    while sent != exchange.bytes_sent:
        sent = exchange.bytes_sent
        for number in range(300):
            watcher.ask(op="ping", id=number)


def test_client_that_stops_reading_is_cut_off(short_dir: Path, upstream: UpstreamServer) -> None:
    with start_daemon(short_dir, upstream, stall_s=1) as daemon:
        other = daemon.dealer()
        client = stalled_stream(daemon, upstream, other)
        stalled_at = time.monotonic()
        for number in range(20):
            assert result(other.ask(op="generate", id=number, prompt="x"))["text"]

        assert upstream.wait_disconnected() - stalled_at < 2
        assert upstream.wait_generation().bytes_sent < BACKLOG_BYTES
        report = wait_status(other, lambda report: report["requests"] == [])
        assert report["totals"]["errors"] == {"cancelled": 1}

        # Should it read again after all, then what it gets has no holes.
        client.send(op="ping", id="p")
        replies = until_answered(client, "p")
        assert told([reply for reply in replies if reply["type"] == "chunk"])


def test_all_that_a_deaf_client_asked_for_ends(short_dir: Path, upstream: UpstreamServer) -> None:
    with start_daemon(short_dir, upstream, stall_s=0.5) as daemon:
        other = daemon.dealer()
        client = stalled_stream(daemon, upstream, other)
        upstream.script.append(silence())
        client.send(op="generate", id="silent", prompt="x")

        for number in (1, 2):
            upstream.wait_disconnected(number)

        report = wait_status(other, lambda report: report["requests"] == [])
        assert report["totals"]["cancelled"] == 2
        *_, last = until_answered(client, "silent")  # should it read again after all
        assert error(last)["code"] == "cancelled"
        assert "does not read" in error(last)["message"]


def test_reader_that_resumes_gets_every_chunk(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    client = stalled_stream(daemon, upstream, daemon.dealer())
    assert not upstream.wait_generation().ended.is_set()

    *chunks, last = until_answered(client, "s")

    assert told(chunks) == "".join(WORDS) == result(last)["text"]
    assert result(client.ask(op="ping", id="p"))


def test_reader_that_is_slow_but_reads_is_not_cut_off(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    stall_s = 1.4
    with start_daemon(short_dir, upstream, stall_s=stall_s) as daemon:
        other = daemon.dealer()
        client = stalled_stream(daemon, upstream, other)

        began = time.monotonic()
        replies = [client.receive()]
        while replies[-1]["type"] == "chunk":
            while time.monotonic() - began < 2 * stall_s * len(replies) / PACED:
                other.ask(op="ping", id="p")
            replies.append(client.receive())

        assert time.monotonic() - began > stall_s
        *chunks, last = replies
        assert told(chunks) == "".join(WORDS) == result(last)["text"]


def test_client_that_only_asks_and_never_reads_is_bounded(
    daemon: RunningDaemon, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    upstream.models = [f"vendor/model-{number}" for number in range(2000)]
    deaf, other = daemon.dealer(receive_high_water=1), daemon.dealer()
    other.ask(op="list", id=1, refresh=True)
    before = result(other.ask(op="status", id=2))["memory_bytes"]
    for number in range(1500):  # lists of half a megabyte: 750 MB in all
        deaf.send(op="list", id=number)
        assert result(other.ask(op="ping", id=number))

    after = result(other.ask(op="status", id=3))["memory_bytes"]

    assert after - before < 300 * 2**20
    assert [record.message for record in caplog.records if "does not read" in record.message] == [
        caplog.records[-1].message
    ]
    assert result(other.ask(op="generate", id=4, prompt="x"))["text"] == "Hello world"


def test_reader_that_is_slow_at_the_shutdown_gets_its_answer(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with start_daemon(short_dir, upstream, daemon_shutdown_grace=60) as daemon:
        other = daemon.dealer()
        client = stalled_stream(daemon, upstream, other)

        assert result(other.ask(op="shutdown", id="bye")) == {}

        *chunks, last = until_answered(client, "s")
        assert told(chunks) == "".join(WORDS) == result(last)["text"]
        daemon.wait_ended()
