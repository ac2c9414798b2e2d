"""What a list of models costs at least: its parts, each by itself and beside the bare echo.

``python -m tests.bench.floor``. All are measured in turns; times are in microseconds. The lowest
tenth of the rounds is what a machine takes that does nothing else.
"""

import contextlib
import os
import select
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median, quantiles

import zmq

from devsynthctl.listed import ListReader
from devsynthd.wire.codec import decode_reply, encode
from devsynthd.wire.replies import ReceivedResult
from devsynthd.wire.requests import List
from devsynthd.wire.results import Models
from tests.bench.child import child
from tests.bench.listing import echo
from tests.bench.rig import Rig, clean, connected, rig
from tests.bench.timing import in_turns, took_ms

ROUNDS, CALLS = 60, 100
WAIT_MS = 10_000
QUESTION = encode(List(id=1, client="floor"))
READABLE = int(zmq.POLLIN)

Socket = zmq.Socket[bytes]


def ask(dealer: Socket) -> bytes:
    """Ask and wait, as briefly as can be."""
    dealer.send(QUESTION)
    return dealer.recv()


def ask_and_watch(dealer: Socket) -> bytes:
    """Wait for descriptors, as whoever wants to notice a hang-up must."""
    dealer.send(QUESTION)
    while not int(dealer.get(zmq.EVENTS)) & READABLE:
        poller = select.poll()
        poller.register(dealer.fileno(), select.POLLIN)
        poller.poll(WAIT_MS)
    return dealer.recv()


def build(reader: ListReader, body: bytes) -> Models:
    """Return the list in a reply."""
    reply = decode_reply(body)
    assert isinstance(reply, ReceivedResult)
    return reader.read(reply.result)


def measured(ground: Rig) -> dict[str, list[float]]:
    """Return the medians of each round, in microseconds, by what was done."""
    with contextlib.ExitStack() as ends:
        bare = ends.enter_context(echo(ground))
        daemon = ends.enter_context(connected(ground.daemon.endpoint))
        body = ask(daemon)
        address = f"ipc://{ground.folder / 'loop.sock'}"
        ends.enter_context(child("loop_echo", address, str(len(body))))
        on_loop = ends.enter_context(connected(address))
        again = ListReader()
        ways: dict[str, Callable[[], object]] = {
            "echo": partial(ask, bare),
            "echo from an event loop": partial(ask, on_loop),
            "echo, waiting by poll()": partial(ask_and_watch, bare),
            "echo, and 20 models built": lambda: (ask(bare), build(ListReader(), body)),
            "echo, and none built anew": lambda: (ask(bare), build(again, body)),
            "all of these": lambda: (ask_and_watch(on_loop), build(again, body)),
            "the daemon, a bare socket": partial(ask, daemon),
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
    sys.stdout.write(f"{'':26}{'lowest 10th':>12}{'ratio':>7}{'p50':>8}{'ratio':>7}\n")
    for name, times in found.items():
        tenth, p50 = quantiles(times, n=10)[0], median(times)
        sys.stdout.write(
            f"{name:26}{tenth:12.1f}{tenth / reference['tenth']:7.2f}"
            f"{p50:8.1f}{p50 / reference['p50']:7.2f}\n"
        )


if __name__ == "__main__":
    main()
