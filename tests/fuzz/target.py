"""What is fuzzed, and how: samples are drawn and tried, and one that fails is made small."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

ROUND = 1000
"""Samples that are drawn with one seed: what it takes to see a crash again."""

MAX_CRASHES = 3
"""So many are shown of one target; most often they are one and the same."""

Check = Callable[[Any], None]
"""Tries one sample; raises whatever is no promised way to end."""


@dataclass(frozen=True)
class Target:
    """Something that takes what others write.

    *opened* makes it ready, with its files in a folder, and yields the check of a sample; when it
    is left it fails if anything is found that no sample could be blamed for. *bodies* counts those
    in a sample. *share* is how many of 1,000 samples are its own.
    """

    name: str
    samples: st.SearchStrategy[Any]
    opened: Callable[[Path], AbstractContextManager[Check]]
    share: int
    bodies: Callable[[Any], int] = field(default=lambda _: 1)


@dataclass(frozen=True)
class Crash:
    """A sample that broke a promise, made small; null: it was found at the end, of no sample."""

    seed: int
    sample: object
    error: BaseException


@dataclass
class Outcome:
    """What came of a target: *bodies* that were tried, in *seconds*."""

    target: str
    bodies: int = 0
    seconds: float = 0.0
    crashes: list[Crash] = field(default_factory=list)
    was_stopped: bool = False  # by Ctrl-C


def fuzz(target: Target, folder: Path, samples: int, seed: int) -> Outcome:
    """Try *samples* of *target*: the first `ROUND` with *seed*, the next ones with *seed* + 1."""
    outcome = Outcome(target.name)
    began = time.monotonic()
    seeds = count(seed)
    try:
        with target.opened(folder) as check:
            for size in _rounds(samples):
                seed = next(seeds)
                if crash := _round(target, check, outcome, size, seed):
                    outcome.crashes.append(crash)
                if len(outcome.crashes) == MAX_CRASHES:
                    break
    except KeyboardInterrupt:
        outcome.was_stopped = True
    except Exception as exc:  # noqa: BLE001 - shown with the others
        outcome.crashes.append(Crash(seed, None, exc))
    outcome.seconds = time.monotonic() - began
    return outcome


def _rounds(samples: int) -> Iterator[int]:
    for done in range(0, samples, ROUND):
        yield min(ROUND, samples - done)


def _round(target: Target, check: Check, outcome: Outcome, samples: int, seed: int) -> Crash | None:
    failed: list[object] = []

    def holds(sample: Any) -> None:  # noqa: ANN401 - whatever the target takes
        outcome.bodies += target.bodies(sample)
        try:
            check(sample)
        except BaseException:
            failed[:] = [sample]  # the last one is the smallest that was found
            raise

    patiently = hypothesis.settings(
        max_examples=samples,
        phases=(Phase.generate, Phase.shrink),
        database=None,  # a seed is enough
        deadline=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        hypothesis.seed(seed)(patiently(hypothesis.given(target.samples)(holds)))()
    except Exception as exc:  # noqa: BLE001 - any of them is a find
        # One that did not come again, since it was a matter of time, is inside of what says that.
        error = exc.exceptions[0] if isinstance(exc, ExceptionGroup) else exc
        return Crash(seed, failed[0] if failed else None, error)
    return None
