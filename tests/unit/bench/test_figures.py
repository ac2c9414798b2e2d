"""Percentiles, ratios and verdicts."""

import pytest

from tests.bench.figures import Budget, Finding, Pair, beside, p99, percentile

RATIO = Budget("a", "ms", 1.3, of="ratio", beside="b")
RATE = Budget("a", "lists/s", 0.6, of="ratio", beside="b", at_least=True)
FIGURE = Budget("a", "MB", 50)


@pytest.mark.parametrize(
    ("values", "percent", "found"),
    [
        ([7.0], 0, 7.0),
        ([7.0], 99, 7.0),
        ([3.0, 1.0, 2.0], 50, 2.0),
        ([3.0, 1.0, 2.0], 66, 2.0),
        ([3.0, 1.0, 2.0], 67, 3.0),
        ([float(n) for n in range(1, 101)], 95, 95.0),
    ],
)
def test_percentile(values: list[float], percent: float, found: float) -> None:
    assert percentile(values, percent) == found


def test_one_in_a_hundred_exceeds_p99() -> None:
    assert p99([float(n) for n in range(1000)]) == 989


@pytest.mark.parametrize(
    ("budget", "figure", "reference", "met"),
    [
        (RATIO, 1.3, 1.0, True),
        (RATIO, 1.4, 1.0, False),
        (RATIO, 1.0, None, False),
        (RATE, 60.0, 100.0, True),
        (RATE, 59.0, 100.0, False),
        (RATE, 200.0, 100.0, True),
        (FIGURE, 50.0, None, True),
        (FIGURE, 50.1, None, False),
        (FIGURE, 50.1, 100.0, False),
    ],
)
def test_a_budget_is_met_or_not(
    budget: Budget, figure: float, reference: float | None, *, met: bool
) -> None:
    assert Finding(budget=budget, figure=figure, reference=reference).met is met


def test_a_pair_is_told_by_its_medians() -> None:
    pair = Pair([3.0, 2.0, 100.0], [2.0, 1.0, 1.5])

    finding = beside(RATIO, pair, "as noted")

    assert (finding.figure, finding.p99) == (3.0, 100.0)
    assert (finding.reference, finding.reference_p99) == (1.5, 2.0)
    assert (finding.ratio, finding.note) == (2.0, "as noted")
    assert pair.added == [1.0, 1.0, 98.5]


def test_the_worse_end_of_a_rate_is_the_lower_one() -> None:
    finding = beside(RATE, Pair([3.0, 2.0, 100.0], [2.0, 1.0, 1.5]))

    assert (finding.p99, finding.reference_p99) == (2.0, 1.0)
