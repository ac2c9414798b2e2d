"""What a list of models costs, beside a bare echo of as many bytes."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from functools import partial

import msgspec
import zmq

from tests.bench.child import child
from tests.bench.figures import Budget, Finding, Pair, beside, p50
from tests.bench.rig import Rig, connected
from tests.bench.timing import in_turns, took_ms

ECHO = "bare ZeroMQ echo"
ROUND_TRIP = Budget("list, round trip", "ms", 1.3, of="ratio", beside=ECHO)
PIPELINED = Budget("list, pipelined", "lists/s", 0.6, of="ratio", beside=ECHO, at_least=True)

ROUNDS, BATCH = 100, 50
PIPELINE_ROUNDS, REQUESTS, IN_FLIGHT = 30, 1000, 32


def round_trip(rig: Rig) -> list[Finding]:
    """Measure our own client, from the call to the models; and a bare one, for the note."""
    with echo(rig) as other, connected(rig.daemon.endpoint) as dealer:
        ways = (rig.client.list, partial(_ask, other), partial(_ask, dealer))
        timed = (partial(took_ms, way) for way in ways)
        ours, reference, bare = in_turns(*timed, rounds=ROUNDS, batch=BATCH)
    note = f"{len(rig.client.list().models)} models; {p50(bare):.3f} ms to a bare socket"
    return [beside(ROUND_TRIP, Pair(ours, reference), note)]


def pipelined(rig: Rig) -> list[Finding]:
    """Measure how many lists a second one connection gets that keeps several in flight."""
    with echo(rig) as bare, connected(rig.daemon.endpoint) as dealer:
        pair = Pair(*in_turns(partial(_rate, dealer), partial(_rate, bare), rounds=PIPELINE_ROUNDS))
    return [beside(PIPELINED, pair, f"{IN_FLIGHT} in flight")]


@contextlib.contextmanager
def echo(rig: Rig) -> Iterator["zmq.Socket[bytes]"]:
    """Yield a connection to an echo whose replies are as long as those of the daemon."""
    with connected(rig.daemon.endpoint) as dealer:
        dealer.send(_question(1))
        size = len(dealer.recv())
    address = f"ipc://{rig.folder / 'echo.sock'}"
    with child("echo", address, str(size)), connected(address) as bare:
        yield bare


def _ask(dealer: "zmq.Socket[bytes]") -> None:
    dealer.send(_question(1))
    dealer.recv()


def _rate(dealer: "zmq.Socket[bytes]") -> float:
    """Return how many replies a second come while some are always in flight."""
    questions = (_question(number) for number in range(REQUESTS))
    start = time.perf_counter()
    for question in itertools.islice(questions, IN_FLIGHT):
        dealer.send(question)
    for _ in range(REQUESTS):
        dealer.recv()
        for question in itertools.islice(questions, 1):
            dealer.send(question)
    return REQUESTS / (time.perf_counter() - start)


def _question(number: int) -> bytes:
    return msgspec.msgpack.encode({"op": "list", "id": number})
