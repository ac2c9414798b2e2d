"""A message over 64 MiB is not even read: its connection is dropped, all others live on."""

from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from tests.service.asking import until_answered
from tests.support.daemon import Dealer, RunningDaemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer


def test_70_mib_end_only_that_connection(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("one", gate=gate))
    other, greedy = daemon.dealer(), daemon.dealer()
    other.send(op="generate", id=1, prompt="x")
    greedy.ask(op="ping", id=1)
    upstream.wait_generation()

    with Watched(greedy) as watched:
        greedy.send(op="generate", id=2, prompt="x" * 70 * 2**20)
        watched.wait_disconnected()

    gate.step(2)
    (answer,) = until_answered(other, 1)
    assert answer["result"]["text"] == "one"
    # libzmq connects again by itself: that is a new client, and a welcome one.
    assert greedy.ask(op="ping", id=3)["type"] == "result"
    assert len(upstream.generations) == 1


class Watched:
    """Notices that the connection of a client ends."""

    def __init__(self, dealer: Dealer) -> None:
        self._socket = dealer.socket
        self._monitor = dealer.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def wait_disconnected(self) -> None:
        """Wait for it."""
        assert self._monitor.poll(10_000), "the connection was not dropped"
        assert recv_monitor_message(self._monitor)["event"] == zmq.EVENT_DISCONNECTED
