import time

import pytest

from devsynthd.wire.nearest import MAX_COMPARED_CHARS, near, nearest


@pytest.mark.parametrize(
    ("name", "known", "expected"),
    [
        ("pnig", ["ping", "status"], "ping"),
        ("zzz", ["ping", "status"], None),
        ("ping", [], None),
        ("x" * (MAX_COMPARED_CHARS + 1), ["x" * MAX_COMPARED_CHARS], None),
        ("x", ["x" * (MAX_COMPARED_CHARS + 1), "xy"], "xy"),
    ],
)
def test_the_nearest_is_what_was_meant(name: str, known: list[str], expected: str | None) -> None:
    assert nearest(name, known) == expected


def test_the_best_come_first() -> None:
    assert near("statsu", ["stat", "other", "status"], 3, cutoff=0.5) == ["status", "stat"]


def test_thousands_of_long_names_that_are_alike_are_looked_through_in_no_time() -> None:
    known = ["ab" * 45 + str(number) for number in range(20_000)]
    started = time.process_time()

    assert len(near("ab" * 45 + "x", known, 3, cutoff=0.5)) == 3
    assert time.process_time() - started < 2
