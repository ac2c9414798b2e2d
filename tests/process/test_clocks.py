"""A daemon on a machine that sleeps, whose date is set, and that stands still for a while."""

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer

HOURS_S = 5 * 3600.0
POLL_S, STOPPED_S = 0.2, 2.0


class Machine:
    """A daemon and its clocks, which the test sets."""

    def __init__(self, daemon: DaemonProcess, dealer: Dealer, clocks: Path) -> None:
        self.daemon, self.dealer, self._clocks = daemon, dealer, clocks

    def move(self, *, date_s: float = 0, slept_s: float = 0) -> None:
        """Set the date, or let the machine have slept."""
        other = self._clocks.with_suffix(".new")
        other.write_text(f"{date_s} {slept_s}", encoding="ascii")
        other.replace(self._clocks)

    def source(self) -> dict[str, Any]:
        """Return what ``status`` says of the list."""
        source: dict[str, Any] = self.dealer.ask(op="status", id="s")["result"]["source"]
        return source


@pytest.fixture
def machine(short_dir: Path, upstream: UpstreamServer) -> Iterator[Machine]:
    clocks = short_dir / "clocks"
    clocks.write_text("0 0", encoding="ascii")
    environ = {
        **asks(upstream, daemon_poll_interval="60", daemon_idle_poll_interval="60"),
        "PYTHONPATH": str(Path(__file__).parent / "clocks"),
        "TEST_CLOCKS": str(clocks),
    }
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        daemon.wait_logged("is reachable")
        yield Machine(daemon, dealer, clocks)


# Somebody sets the date ------------------------------------------------------------------------


@pytest.mark.parametrize("jump_s", [-HOURS_S, HOURS_S])
def test_a_date_that_is_set_changes_no_age_and_no_limit(
    machine: Machine, upstream: UpstreamServer, jump_s: float
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", gate=gate))
    machine.dealer.send(op="generate", id="g", prompt="hi", timeout=10, sent=time.time())
    gate.step()
    machine.move(date_s=jump_s)

    assert machine.source()["age_s"] < 60
    assert not machine.source()["stale"]
    gate.step(2)
    answer = machine.dealer.receive()["result"]
    assert (answer["text"], answer["timing"]["total_s"] < 10) == ("ab", True)
    assert len(upstream.lists) == 1


@pytest.mark.parametrize("jump_s", [-HOURS_S, HOURS_S])
def test_a_log_goes_on_after_a_date_was_set(machine: Machine, jump_s: float) -> None:
    machine.move(date_s=jump_s)
    machine.daemon.signal(signal.SIGHUP)

    event = json.loads(machine.daemon.wait_logged("the settings are as they were"))
    expected = time.strftime("%Y-%m-%dT%H:", time.gmtime(time.time() + jump_s))
    before = time.strftime("%Y-%m-%dT%H:", time.gmtime(time.time() + jump_s - 60))
    assert event["time"].startswith((expected, before))


# The machine sleeps ----------------------------------------------------------------------------


def test_after_a_suspend_a_list_is_refreshed_before_it_is_told(
    machine: Machine, upstream: UpstreamServer
) -> None:
    upstream.models = ["after"]
    machine.move(slept_s=HOURS_S)

    assert machine.source()["age_s"] >= HOURS_S
    listed = machine.dealer.ask(op="list", id="l")["result"]
    assert [model["id"] for model in listed["models"]] == ["after"]
    assert listed["source"]["age_s"] < 60


def test_after_a_suspend_the_poll_that_is_due_happens_by_itself(
    machine: Machine, upstream: UpstreamServer
) -> None:
    """Within seconds, although the timer that was set for it has stood still."""
    generation = machine.dealer.ask(op="list", id="l")["result"]["generation"]
    upstream.models = ["after"]
    machine.move(slept_s=HOURS_S)

    changed = machine.dealer.ask(op="list", id="since", since=generation, timeout=9)["result"]
    assert [model["id"] for model in changed["models"]] == ["after"]
    assert len(upstream.lists) == 2


def test_a_suspend_takes_nothing_from_the_time_that_a_request_has(
    machine: Machine, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", gate=gate))
    machine.dealer.send(op="generate", id="g", prompt="hi", timeout=60)
    gate.step()
    machine.move(slept_s=HOURS_S)
    gate.step(2)

    assert machine.dealer.receive()["result"]["text"] == "ab"


def test_a_request_that_was_sent_before_a_suspend_is_too_old(machine: Machine) -> None:
    """Nobody waits for it any more: see the field ``sent``."""
    sent = time.time()
    machine.move(slept_s=HOURS_S)

    refused = machine.dealer.ask(op="generate", id="g", prompt="hi", timeout=60, sent=sent)
    assert refused["error"]["code"] == "deadline_exceeded"


def test_a_connection_that_was_kept_over_a_suspend_is_not_used_again(
    machine: Machine, upstream: UpstreamServer
) -> None:
    """What is between may have forgotten it: a generation on it would wait for minutes."""
    for slept_s in (0, 0, HOURS_S):
        machine.move(slept_s=slept_s)
        answer = machine.dealer.ask(op="generate", id="g", prompt="hi")
        assert answer["result"]["text"] == "Hello world"

    first, second, after = (exchange.connection for exchange in upstream.generations)
    assert first == second != after


# It stands still -------------------------------------------------------------------------------


def test_a_daemon_that_stood_still_polls_once_and_serves_on(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """Ten polls become due while it is stopped."""
    environ = asks(upstream, daemon_poll_interval=str(POLL_S))
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        daemon.wait_logged("is reachable")
        daemon.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, daemon.process.pid, os.WSTOPPED | os.WNOWAIT)
        stopped_at, before = time.monotonic(), len(upstream.lists)
        dealer.send(op="ping", id="sent meanwhile")
        signal.sigtimedwait([], STOPPED_S)  # nothing happens: it is time that has to pass
        daemon.signal(signal.SIGCONT)

        assert dealer.receive()["id"] == "sent meanwhile"
        polls = len(upstream.lists) - before
        went_on_s = time.monotonic() - stopped_at - STOPPED_S
        assert polls <= 1 + went_on_s / POLL_S
        assert dealer.ask(op="list", id="l", refresh=True)["result"]["source"]["age_s"] < 1
