"""How costs grow: with the models, the tokens, the streams and the clients."""

import contextlib
from collections.abc import Callable
from functools import partial

import msgspec

from devsynthctl import Client
from tests.bench.answers import INSTANT
from tests.bench.curve import Curve, Point
from tests.bench.direct import PROMPT
from tests.bench.figures import p50
from tests.bench.generating import FEW, stream_pair
from tests.bench.rig import Rig, connected
from tests.bench.timing import took_ms
from tests.soak.watch import resident_bytes

MODELS = (1, 20, 200, 2000)
TOKENS = ((10, 60), (100, 60), (1000, 40), (10_000, 8), (100_000, 3))  # size, rounds
STREAMS = (1, 4, 16, 64)
CLIENTS = (1, 10, 50, 100, 200)

LIST_ROUNDS, STREAM_ROUNDS = 300, 15
KIB = 1024


def lists_by_models(rig: Rig) -> list[Curve]:
    """List so many models, with our own client."""
    points = []
    for count in MODELS:
        rig.client.config_set("llm_api_base", rig.base(count))
        assert len(rig.client.list(refresh=True).models) == count
        points.append(Point(count, _list_ms(rig.client)))
    rig.client.config_set("llm_api_base", rig.base(20))
    return [Curve("list, by models", "ms", points)]


def streams_by_tokens(rig: Rig) -> list[Curve]:
    """Stream answers of so many tokens, of an upstream that has them at once."""
    points = []
    for tokens, rounds in TOKENS:
        pair = stream_pair(rig, tokens, rounds)
        points.append(Point(tokens, p50(pair.ours), p50(pair.reference)))
    return [
        Curve("stream, by tokens", "ms", points),
        Curve("the same, direct", "ms", [Point(e.size, e.reference or 0) for e in points]),
    ]


def generations_by_streams(rig: Rig) -> list[Curve]:
    """Ask for so many short answers at once, by one connection; the cost is until the last one."""
    rig.client.config_set("daemon_max_concurrency", STREAMS[-1])
    rig.client.config_set("daemon_queue_limit", STREAMS[-1])
    points = []
    with connected(rig.daemon.endpoint) as dealer:

        def ask(count: int) -> None:
            for number in range(count):
                fields = {"op": "generate", "id": number, "prompt": PROMPT}
                fields |= {"model": INSTANT, "max_tokens": FEW}
                dealer.send(msgspec.msgpack.encode(fields))
            for _ in range(count):
                reply = msgspec.msgpack.decode(dealer.recv())
                assert reply["type"] == "result", reply

        for count in STREAMS:
            ask(count)  # warm
            times = [took_ms(partial(ask, count)) for _ in range(STREAM_ROUNDS)]
            points.append(Point(count, p50(times)))
    rig.client.config_set("daemon_max_concurrency", None)
    rig.client.config_set("daemon_queue_limit", None)
    return [Curve("generate, by answers at once", "ms", points)]


def lists_by_clients(rig: Rig) -> list[Curve]:
    """List the models while so many clients are connected that ask for nothing."""
    times, memory = [], []
    with contextlib.ExitStack() as idle:
        connected_now = 0
        for count in CLIENTS:
            for _ in range(count - connected_now):
                idle.enter_context(Client(rig.daemon.endpoint)).connect()
            connected_now = count
            times.append(Point(count, _list_ms(rig.client)))
            memory.append(Point(count, resident_bytes(rig.daemon.pid) / KIB))
    return [
        Curve("list, by idle clients", "ms", times),
        Curve("memory, by idle clients", "KiB", memory),
    ]


CURVES: tuple[Callable[[Rig], list[Curve]], ...] = (
    lists_by_models,
    generations_by_streams,
    streams_by_tokens,
    lists_by_clients,
)


def _list_ms(client: Client) -> float:
    client.list()
    return p50([took_ms(client.list) for _ in range(LIST_ROUNDS)])
