"""What people and programs see of the findings."""

import pytest

from tests.bench.curve import Curve, Point
from tests.bench.figures import Budget, Finding
from tests.bench.table import as_json, growth_json, growth_table, limit_of, number, table

MET = Finding(
    budget=Budget("list", "ms", 1.3, of="ratio", beside="echo"),
    figure=0.12,
    p99=0.2,
    reference=0.1,
    reference_p99=0.15,
)
MISSED = Finding(budget=Budget("memory", "MB", 50), figure=61.04, note="idle")
CURVE = Curve("stream", "ms", [Point(10, 1.0), Point(1000, 100.0)])


def test_a_line_for_each_finding() -> None:
    header, *lines = table([MET, MISSED]).splitlines()

    assert header.split()[:3] == ["p50", "p99", "unit"]
    assert " ".join(lines[0].split()) == "list 0.12 0.2 ms 0.1 0.15 1.20 <= 1.3 x met"
    assert " ".join(lines[1].split()) == "memory 61.0 MB <= 50 MB MISSED idle"


def test_findings_as_json_have_the_verdict() -> None:
    met, missed = as_json([MET, MISSED])

    assert (met["ratio"], met["met"]) == (pytest.approx(1.2), True)
    assert (missed["ratio"], missed["met"], missed["note"]) == (None, False, "idle")


def test_a_line_for_each_curve() -> None:
    _, line = growth_table([CURVE]).splitlines()

    assert " ".join(line.split()) == "stream ms 10: 1, 1,000: 100 0.1 1.00 linear"


def test_curves_as_json_have_the_verdict() -> None:
    (curve,) = growth_json([CURVE])

    assert curve["costs"] == {"10": 1.0, "1000": 100.0}
    assert (curve["verdict"], curve["exponent"]) == ("linear", pytest.approx(1.0))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (0, "0"),
        (0.04999, "0.05"),
        (0.1234, "0.123"),
        (1.239, "1.24"),
        (12.39, "12.4"),
        (-12.39, "-12.4"),
        (123.9, "124"),
        (70_778.2, "70,778"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (Budget("a", "ms", 1.3, of="ratio"), "<= 1.3 x"),
        (Budget("a", "lists/s", 0.6, of="ratio", at_least=True), ">= 0.6 x"),
        (Budget("a", "MB", 50), "<= 50 MB"),
    ],
)
def test_limit(budget: Budget, text: str) -> None:
    assert limit_of(budget) == text
