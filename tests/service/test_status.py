"""``ping`` and ``status``: what the daemon tells of itself."""

import os
import threading
from pathlib import Path

from devsynthd import __version__
from tests.service.asking import error, result, until_answered, wait_queue, wait_status
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import status, tokens
from tests.support.upstream_server import UpstreamServer


def test_ping_tells_what_is_spoken_and_the_limits(dealer: Dealer) -> None:
    pong = result(dealer.ask(op="ping", id=1))

    assert len(pong.pop("instance")) >= 8
    assert pong == {
        "version": __version__,
        "protocol": 1,
        "pid": os.getpid(),
        "ops": [
            *("ping", "status", "list", "select", "generate", "embed"),
            *("load", "unload", "download", "cancel"),
            *("config_get", "config_set", "reload", "subscribe", "shutdown"),
        ],
        "limits": {
            "max_body_bytes": 32 * 2**20,
            "max_message_bytes": 64 * 2**20,
            "max_messages": 4096,
            "max_parts": 1024,
            "max_inputs": 4096,
            "max_free_form_bytes": 2**20,
        },
    }


def test_instance_stays_in_a_run_and_is_new_in_the_next(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    instances = []
    for _ in range(2):
        with start_daemon(short_dir, upstream) as daemon:
            dealer = daemon.dealer()
            pongs = [result(dealer.ask(op="ping", id=number)) for number in range(2)]
            assert pongs[0] == pongs[1]
            assert result(dealer.ask(op="status", id=3))["instance"] == pongs[0]["instance"]
            instances.append(pongs[0]["instance"])

    assert instances[0] != instances[1]


def test_status_of_an_idle_daemon(
    daemon: RunningDaemon, dealer: Dealer, short_dir: Path, upstream: UpstreamServer
) -> None:
    dealer.ask(op="list", id=1)

    report = result(dealer.ask(op="status", id=2))

    assert report.pop("instance")
    assert report.pop("uptime_s") > 0
    assert report.pop("memory_bytes") > 10 * 2**20
    source = report.pop("source")
    assert source.pop("fetched_at") > 1.7e9
    assert 0 <= source.pop("age_s") < 10
    assert source == {
        "provider": "openai",
        "api_base": upstream.url,
        "api": "openai",
        "reachable": True,
        "stale": False,
        "error": None,
    }
    assert report.pop("selection")["model"] == "a"
    assert report == {
        "version": __version__,
        "protocol": 1,
        "pid": os.getpid(),
        "socket": str(daemon.path),
        "config": {
            "path": str(short_dir / "config.toml"),
            "exists": True,
            "config_generation": 1,
            "valid": True,
            "error": None,
            "overrides": [],
        },
        "models": {"total": 2, "loaded": 0},
        "queue": {"running": 0, "waiting": 0, "limit": 64, "max_concurrency": 4},
        "requests": [],
        "totals": {"requests": 3, "generations": 0, "tokens": 0, "errors": {}, "cancelled": 0},
    }


def test_status_shows_what_runs_and_what_waits(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("one", "two", gate=gate))
    with start_daemon(short_dir, upstream, daemon_max_concurrency=1) as daemon:
        dealer, watcher = daemon.dealer(), daemon.dealer()
        dealer.send(op="generate", id="runs", prompt="secret words", client="editor/2")
        upstream.wait_generation()
        for number in range(2):
            dealer.send(op="generate", id=number, prompt="x", model="b")
        dealer.send(op="list", id="waits", since=result(dealer.ask(op="list", id=9))["generation"])
        wait_queue(watcher, running=1, waiting=2)

        report = wait_status(watcher, lambda seen: len(seen["requests"]) == 4)
        runs, first, second, waits = report["requests"]

        assert report["queue"] == {"running": 1, "waiting": 2, "limit": 64, "max_concurrency": 1}
        assert "secret" not in str(report)
        timing = runs.pop("timing")
        assert 0 < timing["waiting_s"] < timing["total_s"]
        assert runs == {
            "request": runs["request"],
            "id": "runs",
            "client": "editor/2",
            "pid": os.getpid(),
            "op": "generate",
            "model": "a",
            "state": "waiting",
            "position": None,
            "error": None,
        }
        assert (first["state"], first["position"], first["model"]) == ("queued", 0, "b")
        assert (second["state"], second["position"], second["id"]) == ("queued", 1, 1)
        assert (waits["op"], waits["state"], waits["model"]) == ("list", "waiting", None)
        numbers = [request["request"] for request in report["requests"]]
        assert len(set(numbers)) == 4
        assert all(isinstance(number, int) for number in numbers)

        gate.step()
        wait_status(watcher, lambda seen: seen["requests"][0]["state"] == "streaming")
        gate.step(2)
        until_answered(dealer, "runs", 0, 1)
        wait_queue(watcher, running=0, waiting=0)


def test_totals_count_generations_tokens_and_errors_by_code(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.append(tokens("a", "b", "c"))
    upstream.script.append(status(500, {"error": "it is broken"}))
    dealer.ask(op="generate", id=1, prompt="x")
    assert error(dealer.ask(op="generate", id=2, prompt="x"))["code"] == "upstream_error"
    dealer.ask(op="generate", id=3, prompt="")
    dealer.ask(op="generate", id=4)
    dealer.socket.send(b"nonsense")
    dealer.receive()
    dealer.send(op="list", id="wait", since=result(dealer.ask(op="list", id=5))["generation"])
    dealer.send(op="cancel", id=6, target="wait")
    until_answered(dealer, 6)

    totals = result(dealer.ask(op="status", id=7))["totals"]

    assert totals == {
        "requests": 10,
        "generations": 1,
        "tokens": 3,
        "errors": {"upstream_error": 1, "bad_request": 3, "cancelled": 1},
        "cancelled": 1,
    }


def test_ping_is_answered_while_generations_run(
    dealer: Dealer, daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.extend([tokens("x", gate=gate)] * 4)
    for number in range(4):
        dealer.send(op="generate", id=number, prompt="x")
    upstream.wait_generation(4)
    threads = set(threading.enumerate())

    watcher = daemon.dealer()
    for number in range(200):
        assert result(watcher.ask(op="ping", id=number))

    assert set(threading.enumerate()) <= threads
    gate.step(8)
    until_answered(dealer, *range(4))
