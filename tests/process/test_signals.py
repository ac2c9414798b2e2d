"""How the daemon ends: drained, by its grace, or at once; and what it leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthd.command import SAME_SIGNAL_S
from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process, environ_of
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer

ENDING = [signal.SIGTERM, signal.SIGINT]


@pytest.fixture
def dealer(daemon: DaemonProcess) -> Iterator[Dealer]:
    with contextlib.closing(Dealer(daemon.endpoint)) as dealer:
        yield dealer


def begin_stream(dealer: Dealer) -> None:
    """Start a generation, and wait until its first piece, "a", is there."""
    dealer.send(op="generate", id="answer", prompt="hi", stream=True)
    chunk = dealer.receive()
    assert (chunk["type"], chunk["text"]) == ("chunk", "a")


def drain(daemon: DaemonProcess, dealer: Dealer, number: signal.Signals) -> None:
    """Send the signal, and wait until the daemon drains."""
    generation = dealer.ask(op="list", id="list")["result"]["generation"]
    dealer.send(op="list", id="next list", since=generation)
    daemon.signal(number)
    assert error_code(dealer.receive(), "next list") == "shutting_down"


def error_code(reply: dict[str, Any], request_id: str) -> str:
    assert (reply["type"], reply["id"]) == ("error", request_id)
    code: str = reply["error"]["code"]
    return code


def assert_tidy(daemon: DaemonProcess) -> None:
    """Check that the socket's file went and the lock's stayed."""
    assert not daemon.socket.exists()
    assert daemon.socket.with_name("s.sock.lock").exists()


@pytest.mark.parametrize("number", ENDING)
def test_a_stream_is_finished_before_the_end(
    daemon: DaemonProcess, upstream: UpstreamServer, dealer: Dealer, number: signal.Signals
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", "c", gate=gate))
    dealer.send(op="generate", id="answer", prompt="hi", stream=True)
    gate.step()
    assert dealer.receive()["text"] == "a"

    drain(daemon, dealer, number)
    refused = dealer.ask(op="generate", id="another", prompt="hi")
    assert error_code(refused, "another") == "shutting_down"
    assert dealer.ask(op="ping", id="ping")["type"] == "result"
    gate.step(3)

    replies = [dealer.receive()]
    while replies[-1]["type"] == "chunk":
        replies.append(dealer.receive())
    assert replies[-1]["result"]["text"] == "abc"
    assert daemon.wait() == 0
    assert_tidy(daemon)


def test_after_the_grace_what_runs_is_cancelled(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.append(silence_after("a"))
    environ = asks(upstream, daemon_shutdown_grace="0.3")
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        contextlib.closing(Dealer(daemon.endpoint)) as dealer,
    ):
        begin_stream(dealer)
        daemon.signal(signal.SIGTERM)
        signalled_at = time.monotonic()

        reply = dealer.receive()
        assert error_code(reply, "answer") == "cancelled"
        assert reply["error"]["details"]["text"] == "a"
        assert daemon.wait() == 0
        assert 0.3 <= upstream.wait_disconnected() - signalled_at < 2
        assert "grace" in daemon.log()
        assert_tidy(daemon)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_second_signal_ends_it_at_once(
    daemon: DaemonProcess,
    upstream: UpstreamServer,
    dealer: Dealer,
    number: signal.Signals,
    status: int,
) -> None:
    upstream.script.append(silence_after("a"))
    begin_stream(dealer)
    drain(daemon, dealer, signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):  # it drains
        daemon.wait(1.5 * SAME_SIGNAL_S)
    daemon.signal(number)
    signalled_at = time.monotonic()

    assert daemon.wait() == status
    assert time.monotonic() - signalled_at < 1
    assert upstream.wait_disconnected() - signalled_at < 1


def test_a_signal_that_comes_twice_at_once_is_one(
    daemon: DaemonProcess, upstream: UpstreamServer, dealer: Dealer
) -> None:
    """As timeout(1) sends it: to its child, and then to all of its group."""
    gate = Gate()
    upstream.script.append(tokens("a", "b", gate=gate))
    dealer.send(op="generate", id="answer", prompt="hi", stream=True)
    gate.step()
    assert dealer.receive()["text"] == "a"

    daemon.signal(signal.SIGTERM)
    daemon.signal(signal.SIGINT)
    daemon.wait_logged("draining")
    gate.step(2)

    assert dealer.receive()["text"] == "b"
    assert dealer.receive()["type"] == "result"
    assert daemon.wait() == 0


def test_shutdown_by_a_client_is_a_clean_end(
    daemon: DaemonProcess, upstream: UpstreamServer, dealer: Dealer
) -> None:
    upstream.script.append(silence_after("a"))
    begin_stream(dealer)

    outcome = daemon.ctl("shutdown", "--grace", "0")

    assert outcome.returncode == 0
    assert error_code(dealer.receive(), "answer") == "cancelled"
    assert daemon.wait() == 0
    assert_tidy(daemon)


def test_it_ends_while_the_upstream_leaves_a_list_unanswered(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.models_reply = silence()
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.signal(signal.SIGTERM)
        signalled_at = time.monotonic()

        assert daemon.wait() == 0
        assert time.monotonic() - signalled_at < 1


# SIGHUP ----------------------------------------------------------------------------------------


def test_a_hangup_without_a_terminal_does_not_end_it(daemon: DaemonProcess) -> None:
    daemon.signal(signal.SIGHUP)
    daemon.wait_logged("SIGHUP")

    assert daemon.ctl("generate", "hi").stdout == "Hello world\n"
    daemon.signal(signal.SIGTERM)
    assert daemon.wait() == 0


def test_a_hangup_with_a_terminal_ends_it(short_dir: Path, upstream: UpstreamServer) -> None:
    ours, theirs = os.openpty()
    with (
        os.fdopen(ours),
        os.fdopen(theirs),
        daemon_process(short_dir, environ=asks(upstream), stdin=theirs) as daemon,
    ):
        daemon.signal(signal.SIGHUP)

        assert daemon.wait() == 0
        assert_tidy(daemon)


ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "devsynthd"])
"""


def test_it_ends_when_its_terminal_is_closed(short_dir: Path, upstream: UpstreamServer) -> None:
    """A terminal that is gone is no terminal any more: it has to remember that it had one."""
    ours, theirs = os.openpty()
    with os.fdopen(theirs, "wb") as terminal:
        process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL],
            env=environ_of(short_dir, asks(upstream)),
            start_new_session=True,
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
        )
    try:
        with os.fdopen(ours, "rb", buffering=0) as screen:
            shown = b""
            while b"is reachable" not in shown:
                shown += screen.read(1000)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
    assert not (short_dir / "s.sock").exists()
