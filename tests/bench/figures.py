"""What measured times come to: percentiles, ratios, and whether a budget is met. Pure."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

p50 = statistics.median


class Budget(Struct, frozen=True):
    """One line of the budgets: *what* may cost *limit*, in *unit* or as a ratio to *beside*."""

    what: str
    unit: str
    limit: float
    of: Literal["ratio", "figure"] = "figure"
    beside: str = ""
    at_least: bool = False


class Pair(Struct, frozen=True):
    """Two ways to the same, measured in turns: *ours* and the *reference*, round by round."""

    ours: list[float]
    reference: list[float]

    @property
    def added(self) -> list[float]:
        """How much more ours took, in each round."""
        return [mine - other for mine, other in zip(self.ours, self.reference, strict=True)]


class Finding(Struct, frozen=True, kw_only=True):
    """What was measured for *budget*: *figure* is what counts, in its unit."""

    budget: Budget
    figure: float
    p99: float | None = None
    reference: float | None = None
    reference_p99: float | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """The figure as a multiple of the reference, if there is one."""
        return self.figure / self.reference if self.reference else None

    @property
    def met(self) -> bool:
        """Whether the budget holds."""
        counts = self.ratio if self.budget.of == "ratio" else self.figure
        if counts is None:
            return False
        limit = self.budget.limit
        return counts >= limit if self.budget.at_least else counts <= limit


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest of *values* that so many percent of them do not exceed."""
    return sorted(values)[max(0, math.ceil(len(values) * percent / 100) - 1)]


def p99(values: Sequence[float]) -> float:
    """Return what one in a hundred of *values* exceeds."""
    return percentile(values, 99)


def beside(budget: Budget, pair: Pair, note: str = "") -> Finding:
    """Return the medians of *pair* as what was found for *budget*.

    The worse end is told as p99; where much is good, that is what one in a hundred falls below.
    """
    worst = 1 if budget.at_least else 99
    return Finding(
        budget=budget,
        figure=p50(pair.ours),
        p99=percentile(pair.ours, worst),
        reference=p50(pair.reference),
        reference_p99=percentile(pair.reference, worst),
        note=note,
    )
