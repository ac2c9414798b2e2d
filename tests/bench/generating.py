"""What an answer costs through the daemon, beside asking the upstream directly."""

import time

from devsynthctl import Client
from tests.bench.answers import FAST, INSTANT, paced
from tests.bench.direct import PROMPT, Direct
from tests.bench.figures import Budget, Finding, Pair, beside, p50, p99
from tests.bench.rig import Rig
from tests.bench.timing import in_turns, timed_in_turns

DIRECT = "direct"
GENERATE = Budget("generate, 16 tokens", "ms", 1.4, of="ratio", beside=DIRECT)
STREAM = Budget("stream, 1,000 tokens", "ms", 1.4, of="ratio", beside=DIRECT)
FIRST_CHUNK = Budget("first chunk, added", "ms", 0.5, beside=DIRECT)

GENERATE_ROUNDS, GENERATE_BATCH, STREAM_ROUNDS, FIRST_ROUNDS = 100, 10, 250, 400
FEW, MANY = 16, 1000
SHORT = 4  # tokens: only the first one counts


def generate(rig: Rig) -> list[Finding]:
    """Measure a whole short answer of an upstream that has it at once."""
    return [beside(GENERATE, generate_pair(rig))]


def generate_pair(rig: Rig) -> Pair:
    """Return milliseconds of short answers."""
    direct = Direct(rig.session, rig.upstream)
    return timed_in_turns(
        lambda: rig.client.generate(PROMPT, model=INSTANT, max_tokens=FEW),
        lambda: direct.ask(INSTANT, FEW),
        rounds=GENERATE_ROUNDS,
        batch=GENERATE_BATCH,
    )


def stream(rig: Rig) -> list[Finding]:
    """Measure a long answer of an upstream that has it at once, read chunk by chunk."""
    return [beside(STREAM, stream_pair(rig, MANY, STREAM_ROUNDS))]


def stream_pair(rig: Rig, tokens: int, rounds: int) -> Pair:
    """Return milliseconds of answers of so many *tokens*."""
    direct = Direct(rig.session, rig.upstream)
    return timed_in_turns(
        lambda: read_stream(rig.client, tokens),
        lambda: direct.ask(INSTANT, tokens),
        rounds=rounds,
    )


def first_chunk(rig: Rig) -> list[Finding]:
    """Measure how much later the first token comes, of an upstream that takes its time."""
    pair = first_chunk_pair(rig)
    return [
        Finding(
            budget=FIRST_CHUNK,
            figure=p50(pair.added),
            p99=p99(pair.added),
            note=f"{p50(pair.ours):.2f} after {p50(pair.reference):.2f} ms, {FAST} tokens/s",
        )
    ]


def first_chunk_pair(rig: Rig) -> Pair:
    """Return milliseconds until the first token."""
    direct = Direct(rig.session, rig.upstream)
    return Pair(
        *in_turns(
            lambda: first_chunk_ms(rig.client),
            lambda: direct.first_token_ms(paced(FAST), SHORT),
            rounds=FIRST_ROUNDS,
        )
    )


def read_stream(client: Client, tokens: int) -> None:
    """Read an answer of so many *tokens* to its end."""
    with client.stream(PROMPT, model=INSTANT, max_tokens=tokens) as chunks:
        for _ in chunks:
            pass
        usage = chunks.result.usage
    assert usage is not None
    assert usage.completion_tokens == tokens


def first_chunk_ms(client: Client) -> float:
    """Read a short answer, and return when its first chunk came."""
    start = time.perf_counter()
    with client.stream(PROMPT, model=paced(FAST), max_tokens=SHORT) as chunks:
        next(chunks)
        took_ms = (time.perf_counter() - start) * 1000
        for _ in chunks:
            pass
    return took_ms
