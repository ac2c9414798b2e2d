"""What a list of models costs at least: its parts, each by itself and beside the bare echo.

``python -m tests.bench.floor``. All are measured in turns; times are in microseconds. The lowest
tenth of the rounds is what a machine takes that does nothing else.
"""

import os
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import zmq

from devsynthctl.connection import Connection, connect
from devsynthctl.listed import ListReader
from devsynthd.host.address import socket_address
from devsynthd.wire.codec import decode_reply, encode
from devsynthd.wire.replies import ReceivedResult
from devsynthd.wire.requests import List
from devsynthd.wire.results import Models
from tests.bench.child import child
from tests.bench.listing import echo
from tests.bench.rig import Rig, clean, connected, rig
from tests.bench.timing import in_turns, took_ms

ROUNDS, CALLS = 60, 100
QUESTION = encode(List(id=1, client="floor"))

Socket = zmq.Socket[bytes]


def ask(dealer: Socket) -> bytes:
    """Ask and wait, as briefly as can be."""
    dealer.send(QUESTION)
    return dealer.recv()


def ask_over(connection: Connection) -> bytes:
    """Do it without libzmq."""
    connection.send(QUESTION, None)
    return connection.receive(None)[0]


def build(reader: ListReader, body: bytes) -> Models:
    """Return the list in a reply."""
    reply = decode_reply(body)
    assert isinstance(reply, ReceivedResult)
    return reader.read(reply.result)


def measured(ground: Rig) -> dict[str, list[float]]:
    """Return the medians of each round, in microseconds, by what was done."""
    with ExitStack() as ends:
        bare = ends.enter_context(echo(ground))
        daemon = ends.enter_context(connected(ground.daemon.endpoint))
        body = ask(daemon)
        address = f"ipc://{ground.folder / 'loop.sock'}"
        ends.enter_context(child("loop_echo", address, str(len(body))))
        to_bare, to_loop, to_daemon = (
            ends.enter_context(closing(connect(socket_address(each, {}), None, "")))
            for each in (f"ipc://{ground.folder / 'echo.sock'}", address, ground.daemon.endpoint)
        )
        again = ListReader()
        ways: dict[str, Callable[[], object]] = {
            "echo": partial(ask, bare),
            "echo, our connection": partial(ask_over, to_bare),
            "echo from an event loop, ours": partial(ask_over, to_loop),
            "echo, and 20 models built": lambda: (ask(bare), build(ListReader(), body)),
            "echo, and none built anew": lambda: (ask(bare), build(again, body)),
            "loop, our connection, models": lambda: (ask_over(to_loop), build(again, body)),
            "the daemon, a ZeroMQ socket": partial(ask, daemon),
            "the daemon, our connection": partial(ask_over, to_daemon),
            "the daemon, our client": ground.client.list,
        }
        found = in_turns(*(partial(usual_us, way) for way in ways.values()), rounds=ROUNDS)
    return dict(zip(ways, found, strict=True))


def usual_us(act: Callable[[], object]) -> float:
    """Return the median of many calls in a row."""
    return median(took_ms(act) for _ in range(CALLS)) * 1000


def main() -> None:
    """Measure, and print a table."""
    clean(os.environ)
    with tempfile.TemporaryDirectory(prefix="ds-") as folder, rig(Path(folder)) as ground:
        found = measured(ground)
    reference = {"tenth": quantiles(found["echo"], n=10)[0], "p50": median(found["echo"])}
    sys.stdout.write(f"{'':30}{'lowest 10th':>12}{'ratio':>7}{'p50':>8}{'ratio':>7}\n")
    for name, times in found.items():
        tenth, p50 = quantiles(times, n=10)[0], median(times)
        sys.stdout.write(
            f"{name:30}{tenth:12.1f}{tenth / reference['tenth']:7.2f}"
            f"{p50:8.1f}{p50 / reference['p50']:7.2f}\n"
        )


if __name__ == "__main__":
    main()
