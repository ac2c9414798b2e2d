"""Whether a growing cost is told from a flat one, and a bad one from both."""

import pytest

from tests.bench.curve import Curve, Point, exponents


def curve(**costs: float) -> Curve:
    return Curve("a", "ms", [Point(int(size[1:]), cost) for size, cost in costs.items()])


@pytest.mark.parametrize(
    ("costs", "verdict"),
    [
        ({"n1": 1.0, "n10": 1.0, "n100": 1.0}, "flat"),
        ({"n1": 1.0, "n10": 1.6, "n100": 1.4}, "flat"),
        ({"n1": 1.0, "n10": 1.1, "n100": 2.0}, "linear"),
        ({"n1": 1.0, "n10": 10.0, "n100": 100.0}, "linear"),
        ({"n1": 1.0, "n10": 12.0, "n100": 120.0}, "linear"),
        ({"n1": 1.0, "n10": 1.0, "n100": 20.0}, "worse"),  # it begins to be so late
        ({"n1": 1.0, "n10": 100.0, "n100": 10_000.0}, "worse"),
    ],
)
def test_verdict(costs: dict[str, float], verdict: str) -> None:
    assert curve(**costs).verdict == verdict


def test_exponents_are_those_between_neighbours() -> None:
    points = [Point(1, 3.0), Point(2, 3.0), Point(4, 6.0), Point(8, 24.0)]

    assert exponents(points) == pytest.approx([0, 1, 2])
    assert Curve("a", "ms", points).exponent == pytest.approx(2)
    assert Curve("a", "ms", points).each == pytest.approx(3)
