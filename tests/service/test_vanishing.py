"""A client that goes away: what it asked for ends upstream, in the middle of a silence too."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.service.asking import SOON_S, result, until_answered, wait_queue, wait_status
from tests.support.daemon import RunningDaemon, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import Reply, flood, silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer

# Asks for a stream, tells of its first chunk, then reads on for ever.
CLIENT = """
import sys, msgspec, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
request = {"op": "generate", "id": 1, "prompt": "x", "stream": True}
socket.send(msgspec.msgpack.encode(request))
socket.recv()
print("a chunk", flush=True)
while True:
    socket.recv()
"""


class ClientProcess:
    """A client in a process of its own."""

    def __init__(self, endpoint: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENT, endpoint], stdout=subprocess.PIPE, text=True
        )

    def wait_chunk(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "a chunk\n"

    def leave(self) -> None:
        """End it as ``kill -9`` does."""
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


class SocketClient:
    """A client that closes its socket."""

    def __init__(self, daemon: RunningDaemon) -> None:
        self._dealer = daemon.dealer()
        self._dealer.send(op="generate", id=1, prompt="x", stream=True)

    def wait_chunk(self) -> None:
        assert self._dealer.receive()["type"] == "chunk"

    def leave(self) -> None:
        self._dealer.close()

    def close(self) -> None:
        """Do nothing: the daemon of the test closes its clients."""


Leaver = ClientProcess | SocketClient


@contextmanager
def killed(daemon: RunningDaemon) -> Iterator[Leaver]:
    client = ClientProcess(daemon.endpoint)
    try:
        yield client
    finally:
        client.close()


@contextmanager
def closed(daemon: RunningDaemon) -> Iterator[Leaver]:
    yield SocketClient(daemon)


@pytest.mark.parametrize("way", [killed, closed])
@pytest.mark.parametrize(
    ("reply", "has_chunks"),
    [
        pytest.param(silence(), False, id="silent"),
        pytest.param(silence_after(), False, id="silent after the head"),
        pytest.param(silence_after("x"), True, id="mid-stream"),
        pytest.param(flood("x" * 10), True, id="in a flood"),
    ],
)
def test_upstream_is_hung_up_on(
    daemon: RunningDaemon,
    upstream: UpstreamServer,
    way: Callable[[RunningDaemon], AbstractContextManager[Leaver]],
    reply: Reply,
    *,
    has_chunks: bool,
) -> None:
    upstream.script.append(reply)
    watcher = daemon.dealer()
    with way(daemon) as client:
        upstream.wait_generation()
        if has_chunks:
            client.wait_chunk()

        left_at = time.monotonic()
        client.leave()

        assert upstream.wait_disconnected() - left_at < SOON_S
        report = wait_queue(watcher, running=0, waiting=0)
        assert report["requests"] == []
        assert report["totals"]["cancelled"] == 1
        assert result(watcher.ask(op="generate", id=2, prompt="x"))["text"] == "Hello world"


def test_all_that_it_asked_for_ends_and_nothing_else(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.extend([silence(), tokens("other", gate=gate)])
    with start_daemon(short_dir, upstream, daemon_max_concurrency=2) as daemon:
        leaver, other = daemon.dealer(), daemon.dealer()
        leaver.send(op="generate", id=1, prompt="leaver")
        upstream.wait_generation(1)
        other.send(op="generate", id=1, prompt="other")
        upstream.wait_generation(2)
        for number in (2, 3):
            leaver.send(op="generate", id=number, prompt="leaver")
        leaver.send(op="list", id=4, since=result(other.ask(op="list", id="l"))["generation"])
        wait_status(other, lambda report: len(report["requests"]) == 5)

        leaver.close()

        wait_queue(other, running=1, waiting=0)
        report = wait_status(other, lambda report: len(report["requests"]) == 1)
        assert report["totals"]["cancelled"] == 4
        gate.step(2)
        (answer,) = until_answered(other, 1)
        assert result(answer)["text"] == "other"
        assert len(upstream.generations) == 2  # what waited never got there


def test_clients_that_come_and_go_leave_nothing(
    daemon: RunningDaemon, upstream: UpstreamServer
) -> None:
    watcher = daemon.dealer()
    upstream.script.extend([silence()] * 100)
    for number in range(100):
        leaver = daemon.dealer()
        leaver.send(op="generate", id=1, prompt="x")
        if number % 2:
            leaver.ask(op="ping", id=2)
        leaver.close()

    report = wait_status(watcher, lambda report: report["requests"] == [])

    assert (report["queue"]["running"], report["queue"]["waiting"]) == (0, 0)
    upstream.script.clear()
    assert result(watcher.ask(op="generate", id=1, prompt="x"))["text"] == "Hello world"
