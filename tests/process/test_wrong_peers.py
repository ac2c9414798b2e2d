"""Peers of the real daemon that speak ZMTP, but not as a client does."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.raw_peer import MORE, RawPeer, announced, frame, greeting, ready
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer

MIB = 2**20
PING = msgspec.msgpack.encode({"op": "ping", "id": 1})


@pytest.fixture(scope="module")
def shared() -> Iterator[DaemonProcess]:
    """Run one daemon for all tests that must not disturb it."""
    with (
        tempfile.TemporaryDirectory(prefix="ds-") as folder,
        UpstreamServer() as upstream,
        daemon_process(Path(folder), environ=asks(upstream)) as running,
    ):
        yield running


def serves(daemon: DaemonProcess) -> bool:
    """Return whether another client is answered."""
    with contextlib.closing(Dealer(daemon.endpoint)) as dealer:
        return bool(dealer.ask(op="ping", id=1)["type"] == "result")


def resident_mib(daemon: DaemonProcess, which: str = "VmRSS:") -> float:
    """Return the daemon's memory, now or (``VmHWM:``) at its most."""
    status = Path(f"/proc/{daemon.process.pid}/status").read_text(encoding="ascii")
    (line,) = (line for line in status.splitlines() if line.startswith(which))
    return int(line.split()[1]) / 1024


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(greeting(b"CURVE") + ready(b"DEALER"), id="CURVE"),
        pytest.param(greeting(b"PLAIN") + ready(b"DEALER"), id="PLAIN"),
        pytest.param(greeting() + ready(b"PUB"), id="PUB"),
        pytest.param(greeting() + ready(b"PULL"), id="PULL"),
        pytest.param(greeting() + ready(b"NONE"), id="no such type"),
        pytest.param(greeting() + frame(PING), id="a message before READY"),
        pytest.param(greeting()[:11], id="half a greeting"),
        pytest.param(greeting() + ready(b"DEALER")[:5], id="half a READY"),
    ],
)
def test_who_does_not_shake_hands_as_a_client_is_hung_up_on(
    shared: DaemonProcess, said: bytes
) -> None:
    began = time.monotonic()
    with RawPeer(shared.socket, said) as peer:
        assert serves(shared)
        peer.heard_until_the_end()

    assert time.monotonic() - began < 5  # a second, by the setting, on a busy machine
    assert serves(shared)


@pytest.mark.parametrize("socket_type", [b"DEALER", b"REQ", b"ROUTER"])
def test_who_may_talk_to_a_router_is_answered(shared: DaemonProcess, socket_type: bytes) -> None:
    with RawPeer.ready(shared.socket, socket_type) as peer:
        peer.say(frame(b"", MORE) + frame(PING))
        peer.hear_until(b"protocol")
    assert serves(shared)


@pytest.mark.parametrize("size", [64 * MIB + 1, 2**32, 2**63, 2**64 - 1])
def test_a_frame_that_is_announced_too_large_is_not_waited_for(
    shared: DaemonProcess, size: int
) -> None:
    before = resident_mib(shared)
    with RawPeer.ready(shared.socket) as peer:
        peer.say(announced(size) + bytes(MIB))
        peer.heard_until_the_end()
        assert serves(shared)
    assert resident_mib(shared) - before < 16


def test_a_message_of_many_parts_is_refused(shared: DaemonProcess) -> None:
    with RawPeer.ready(shared.socket) as peer:
        peer.say(frame(b"x", MORE) * 49 + frame(PING))
        assert b"the message has 50 frames" in peer.hear_until(b"hint")
        peer.say(frame(PING))
        peer.hear_until(b"protocol")


def test_who_sends_a_message_of_very_many_parts_is_hung_up_on_and_others_are_served(
    daemon: DaemonProcess,
) -> None:
    """It comes whole or not at all; to drop what has come takes a microsecond a part."""
    with contextlib.closing(Dealer(daemon.endpoint)) as other:
        other.ask(op="ping", id=1)
        before = resident_mib(daemon)
        with RawPeer.ready(daemon.socket) as peer:
            peer.say((bytes((MORE, 1)) + b"x") * 1_000_000 + frame(PING))
            assert slowest_s(other, 50) < 5
            assert peer.heard_until_the_end() == b""
        assert daemon.wait_logged("its message has too many parts")
        assert slowest_s(other, 50) < 1
    assert resident_mib(daemon, "VmHWM:") - before < 128


def test_a_thousand_silent_connections_end_and_nobody_waits(shared: DaemonProcess) -> None:
    before = resident_mib(shared)
    with contextlib.ExitStack() as exits, contextlib.closing(Dealer(shared.endpoint)) as other:
        other.ask(op="ping", id=1)
        silent = [exits.enter_context(RawPeer(shared.socket)) for _ in range(1000)]
        assert slowest_s(other, 200) < 2
        for peer in silent:
            peer.heard_until_the_end()
        assert slowest_s(other, 10) < 2
    assert resident_mib(shared) - before < 32


@pytest.mark.timeout(40)  # a gigabyte has to be sent
def test_peers_that_send_64_mib_slowly_have_a_limit_together(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    """What they have sent lies in libzmq, each up to the limit of a message."""
    gate = Gate()
    upstream.script.append(tokens("one", gate=gate))
    with contextlib.ExitStack() as exits, contextlib.closing(Dealer(daemon.endpoint)) as other:
        other.send(op="generate", id="g", prompt="x")
        upstream.wait_generation()
        slow = [exits.enter_context(RawPeer.ready(daemon.socket)) for _ in range(40)]
        for peer in slow:
            peer.say(announced(64 * MIB))
        sent = 0
        while all(peer.say(bytes(MIB)) for peer in slow):
            sent += 1
            assert sent < 64, "all of them could send all"
            other.send(op="ping", id=sent)
            assert other.receive()["id"] == sent

        gate.step(2)
        assert other.receive()["result"]["text"] == "one"
        assert resident_mib(daemon, "VmHWM:") < 2.5 * 1024
        daemon.wait_logged("hung up on")


def slowest_s(dealer: Dealer, times: int) -> float:
    """Return how long the slowest of some answers takes, in seconds."""
    slowest = 0.0
    for number in range(times):
        began = time.monotonic()
        assert dealer.ask(op="list", id=number)["type"] == "result"
        slowest = max(slowest, time.monotonic() - began)
    return slowest
