"""Sets the clocks of the Python process that starts with this on its path, as a test says.

The file ``TEST_CLOCKS`` holds two numbers of seconds: by how much somebody has set the date, and
how long the machine slept. The latter moves all clocks but the monotonic one.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

NEVER_STOPS = time.CLOCK_BOOTTIME if hasattr(time, "CLOCK_BOOTTIME") else time.CLOCK_MONOTONIC_RAW


def set_clocks(
    file: Path,
    date: Callable[[], float] = time.time,
    clock: Callable[[int], float] = time.clock_gettime,
) -> None:
    """Have the clocks of this process tell what *file* says."""

    def moved() -> tuple[float, float]:
        date_s, slept_s = file.read_text(encoding="ascii").split()
        return float(date_s), float(slept_s)

    def clock_gettime(number: int) -> float:
        return clock(number) + (moved()[1] if number == NEVER_STOPS else 0.0)

    time.time = lambda: date() + sum(moved())
    time.clock_gettime = clock_gettime


set_clocks(Path(os.environ["TEST_CLOCKS"]))
