"""How a cost grows with a size: flat, linear or worse. Pure."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

FLAT_RATIO = 1.5
"""A cost that grows by less than this over the whole range counts as flat."""

LINEAR_EXPONENT = 1.2
"""A cost that nowhere grows by a higher power of the size counts as linear; the rest is noise."""


class Point(Struct, frozen=True):
    """The *cost* of something of *size*; *reference* is what the same cost otherwise."""

    size: int
    cost: float
    reference: float | None = None


class Curve(Struct, frozen=True):
    """The costs of *what*, in *unit*, by growing size."""

    what: str
    unit: str
    points: list[Point]

    @property
    def verdict(self) -> Literal["flat", "linear", "worse"]:
        """How the cost grows."""
        if self.points[-1].cost <= FLAT_RATIO * self.points[0].cost:
            return "flat"
        return "linear" if self.exponent <= LINEAR_EXPONENT else "worse"

    @property
    def exponent(self) -> float:
        """The highest power of the size by which the cost grows from one point to the next."""
        return max(exponents(self.points))

    @property
    def each(self) -> float:
        """What one more costs, from the first point to the last."""
        first, last = self.points[0], self.points[-1]
        return (last.cost - first.cost) / (last.size - first.size)


def exponents(points: Sequence[Point]) -> list[float]:
    """Return by which power of the size the cost grows between neighbours."""
    return [
        math.log(after.cost / before.cost) / math.log(after.size / before.size)
        for before, after in itertools.pairwise(points)
    ]
