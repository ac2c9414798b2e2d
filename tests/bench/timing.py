"""Measuring several ways to the same in turns, so that a busy moment of the machine meets all."""

import time
from collections.abc import Callable
from functools import partial

from tests.bench.figures import Pair

Act = Callable[[], object]
Measure = Callable[[], float]


def took_ms(act: Act) -> float:
    """Return how long *act* takes."""
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def in_turns(*ways: Measure, rounds: int, batch: int = 1) -> list[list[float]]:
    """Return what each of *ways* returns in so many *rounds*, after one that warms up.

    In a round each is called *batch* times in a row; every other round goes backwards.
    """
    found: list[list[float]] = [[] for _ in ways]
    turns = [*zip(ways, found, strict=True)]
    for number in range(-1, rounds):
        for measure, figures in turns if number % 2 else reversed(turns):
            figures.extend([measure() for _ in range(batch)])
    return [figures[batch:] for figures in found]


def timed_in_turns(ours: Act, reference: Act, *, rounds: int, batch: int = 1) -> Pair:
    """Return how many milliseconds both take, measured as by ``in_turns``."""
    ways = partial(took_ms, ours), partial(took_ms, reference)
    return Pair(*in_turns(*ways, rounds=rounds, batch=batch))
