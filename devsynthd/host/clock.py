"""The clock for ages: one that goes on while the machine sleeps."""

import sys
import time

if sys.platform == "linux":
    _CLOCK = time.CLOCK_BOOTTIME
elif sys.platform == "darwin":
    _CLOCK = time.CLOCK_MONOTONIC_RAW
else:
    _CLOCK = time.CLOCK_MONOTONIC


def elapsed_s() -> float:
    """Return the seconds since some moment in the past, those during a suspend included.

    It never jumps, whoever sets the date. Deadlines go by ``time.monotonic`` instead, which stands
    still during a suspend: nobody's time is up because a lid was closed. Source: clock_gettime(2)
    of Linux on CLOCK_BOOTTIME, clock_gettime(3) of macOS on CLOCK_MONOTONIC_RAW.
    """
    return time.clock_gettime(_CLOCK)
