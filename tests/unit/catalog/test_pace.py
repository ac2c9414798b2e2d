"""When to poll again."""

import pytest

from devsynthd.catalog.pace import IDLE_AFTER_S, MAX_BACK_OFF_S, Pace

PACE = Pace(5, 60)


@pytest.mark.parametrize(
    ("failures", "idle_for_s", "jitter", "expected"),
    [
        (0, 0, 0.5, 5),
        (0, IDLE_AFTER_S - 1, 0, 5),
        (0, IDLE_AFTER_S, 0, 60),
        (1, 0, 0, 1),
        (2, 0, 0, 2),
        (5, 0, 0, 16),
        (6, 0, 0, MAX_BACK_OFF_S),
        (10_000, 0, 0, MAX_BACK_OFF_S),
        (6, 0, 1, MAX_BACK_OFF_S / 2),
        (6, IDLE_AFTER_S, 1, 60),
    ],
)
def test_delay(failures: int, idle_for_s: float, jitter: float, expected: float) -> None:
    assert PACE.delay_s(failures, idle_for_s, jitter) == expected
