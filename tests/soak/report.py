"""The accounts of a soak as they are told. Pure."""

import statistics
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import Struct

from tests.soak.watch import Footprint

MIB = 2**20


class Memory(Struct, frozen=True):
    """The means of what was resident in each quarter of a daemon's life, in bytes."""

    quarters: tuple[float, ...]

    @property
    def growth(self) -> float:
        """How much more it was in the last one than in the second."""
        return self.quarters[3] - self.quarters[1]


def memory_of(samples: Sequence[int]) -> Memory:
    """Return what *samples*, taken at equal distances, say; there is at least one."""
    cuts = [len(samples) * number // 4 for number in range(5)]
    return Memory(
        tuple(statistics.fmean(samples[start:end] or samples) for start, end in pairwise(cuts))
    )


class Report(Struct, frozen=True, kw_only=True):
    """What one soak came to. *breaches* are the first of *breach_count*.

    *answered* is by op, *failed* by code, *doings* by what was done to the daemon.
    """

    seconds: float
    seed: int
    sent: int
    answered: dict[str, int]
    vanished: int
    failed: dict[str, int]
    tokens: int
    doings: dict[str, int]
    cpu_s: float
    before: Footprint
    after: Footprint
    memory: Memory
    breach_count: int
    breaches: tuple[str, ...]

    @property
    def lost(self) -> int:
        """How many requests never came to an end."""
        ended = sum(self.answered.values()) + sum(self.failed.values()) + self.vanished
        return self.sent - ended

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.breach_count


def table(report: Report) -> str:
    """Return *report* for a person."""
    lines = [f"{name:<40}{value}" for name, value in _rows(report)]
    if not report.passed:
        lines += ["", f"{report.breach_count} breaches, the first of them:", *report.breaches]
    return "\n".join(lines) + "\n"


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    yield "duration, seed", f"{report.seconds:.1f} s, {report.seed}"
    yield "sent", f"{report.sent}"
    for op, count in report.answered.items():
        yield f"  {op}: answered", f"{count}"
    for code, count in report.failed.items():
        yield f"  {code}", f"{count}"
    yield "  its client left", f"{report.vanished}"
    yield "  lost", f"{report.lost}"
    yield "tokens", f"{report.tokens}"
    for what, count in report.doings.items():
        yield what, f"{count}"
    yield "CPU of the daemons", f"{report.cpu_s:.1f} s"
    before, after = report.before, report.after
    yield "threads", _change(before.threads, after.threads)
    for kind in sorted({*before.descriptors, *after.descriptors}):
        change = _change(before.descriptors.get(kind, 0), after.descriptors.get(kind, 0))
        yield f"descriptors: {kind}", change
    yield "memory at rest", _change(before.memory_bytes / MIB, after.memory_bytes / MIB, " MiB")
    quarters = " ".join(f"{each / MIB:.1f}" for each in report.memory.quarters)
    yield "memory by quarter, one life", f"{quarters} MiB"
    yield "verdict", "every promise was kept" if report.passed else "promises were BROKEN"


def _change(before: float, after: float, unit: str = "") -> str:
    digits = ".1f" if unit else "d"
    return f"{before:{digits}}{unit} before, {after:{digits}}{unit} after"
