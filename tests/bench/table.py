"""Findings as a table for people, and as JSON for programs. Pure."""

from collections.abc import Sequence
from typing import Any

from tests.bench.curve import Curve
from tests.bench.figures import Budget, Finding

HEADER = ("", "p50", "p99", "unit", "reference", "p99", "ratio", "budget", "verdict", "")
GROWTH_HEADER = ("", "unit", "cost at size", "each", "exponent", "verdict")


def table(findings: Sequence[Finding]) -> str:
    """Return a line for each of *findings*, below a header."""
    return _aligned([HEADER, *(_row(each) for each in findings)], right={1, 2, 4, 5, 6})


def growth_table(curves: Sequence[Curve]) -> str:
    """Return a line for each of *curves*, below a header."""
    return _aligned([GROWTH_HEADER, *(_growth(each) for each in curves)], right={3, 4})


def as_json(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    """Return all that is known of *findings*."""
    return [
        {
            "what": each.budget.what,
            "unit": each.budget.unit,
            "figure": each.figure,
            "p99": each.p99,
            "beside": each.budget.beside,
            "reference": each.reference,
            "reference_p99": each.reference_p99,
            "ratio": each.ratio,
            "budget": each.budget.limit,
            "of": each.budget.of,
            "at_least": each.budget.at_least,
            "met": each.met,
            "note": each.note,
        }
        for each in findings
    ]


def growth_json(curves: Sequence[Curve]) -> list[dict[str, Any]]:
    """Return all that is known of *curves*."""
    return [
        {
            "what": each.what,
            "unit": each.unit,
            "costs": {str(point.size): point.cost for point in each.points},
            "each": each.each,
            "exponent": each.exponent,
            "verdict": each.verdict,
        }
        for each in curves
    ]


def _row(each: Finding) -> tuple[str, ...]:
    return (
        each.budget.what,
        number(each.figure),
        number(each.p99),
        each.budget.unit,
        number(each.reference),
        number(each.reference_p99),
        "" if each.ratio is None else f"{each.ratio:.2f}",
        limit_of(each.budget),
        "met" if each.met else "MISSED",
        each.note,
    )


def _growth(curve: Curve) -> tuple[str, ...]:
    costs = ", ".join(f"{point.size:,}: {number(point.cost)}" for point in curve.points)
    exponent = f"{curve.exponent:.2f}"
    return (curve.what, curve.unit, costs, number(curve.each), exponent, curve.verdict)


def limit_of(budget: Budget) -> str:
    """Return the limit as people write it."""
    sign, unit = ">=" if budget.at_least else "<=", "x" if budget.of == "ratio" else budget.unit
    return f"{sign} {budget.limit:g} {unit}"


def number(value: float | None) -> str:
    """Return *value* with about three digits that count."""
    if value is None:
        return ""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.3g}"


def _aligned(rows: Sequence[tuple[str, ...]], right: set[int]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )
    return "".join(f"{line.rstrip()}\n" for line in lines)
