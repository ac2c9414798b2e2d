"""The accounts of a soak as they are told. Pure."""

import statistics
from collections.abc import Iterator, Sequence

from msgspec import Struct

from tests.bench.soak_watch import Footprint

MIB = 2**20


class Memory(Struct, frozen=True):
    """The mean of what was resident in the second and in the last quarter of a soak, in bytes."""

    second_quarter: float
    last_quarter: float

    @property
    def growth(self) -> float:
        """How much more it was at the end."""
        return self.last_quarter - self.second_quarter


def memory_of(samples: Sequence[int]) -> Memory:
    """Return what *samples*, taken at equal distances, say; there is at least one."""
    quarter = max(len(samples) // 4, 1)
    return Memory(
        statistics.fmean(samples[quarter : 2 * quarter] or samples),
        statistics.fmean(samples[-quarter:]),
    )


class Report(Struct, frozen=True, kw_only=True):
    """What one soak came to. *failed* is by code, *breaches* are the first of *breach_count*."""

    seconds: float
    seed: int
    sent: int
    answered: int
    cancelled: int
    vanished: int
    failed: dict[str, int]
    tokens: int
    restarts: int
    cpu_s: float
    before: Footprint
    after: Footprint
    memory: Memory
    breach_count: int
    breaches: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Whether every promise was kept."""
        return not self.breach_count


def table(report: Report) -> str:
    """Return *report* for a person."""
    lines = [f"{name:<32}{value}" for name, value in _rows(report)]
    if not report.passed:
        lines += ["", f"{report.breach_count} breaches, the first of them:", *report.breaches]
    return "\n".join(lines) + "\n"


def _rows(report: Report) -> Iterator[tuple[str, str]]:
    yield "duration, seed", f"{report.seconds:.1f} s, {report.seed}"
    yield "sent", f"{report.sent}"
    yield "  answered", f"{report.answered}"
    yield "  cancelled", f"{report.cancelled}"
    yield "  vanished", f"{report.vanished}"
    for code, count in report.failed.items():
        yield f"  {code}", f"{count}"
    yield "tokens", f"{report.tokens}"
    yield "restarts of the upstream", f"{report.restarts}"
    yield "CPU of the daemon", f"{report.cpu_s:.1f} s"
    before, after = report.before, report.after
    yield "threads", _change(before.threads, after.threads)
    for kind in sorted({*before.descriptors, *after.descriptors}):
        change = _change(before.descriptors.get(kind, 0), after.descriptors.get(kind, 0))
        yield f"descriptors: {kind}", change
    yield "memory at rest", _change(before.memory_bytes / MIB, after.memory_bytes / MIB, " MiB")
    memory = report.memory
    change = _change(memory.second_quarter / MIB, memory.last_quarter / MIB, " MiB")
    yield "memory, 2nd and last quarter", change
    yield "verdict", "every promise was kept" if report.passed else "promises were BROKEN"


def _change(before: float, after: float, unit: str = "") -> str:
    digits = ".1f" if unit else "d"
    return f"{before:{digits}}{unit} before, {after:{digits}}{unit} after"
