"""The simulator's own time: an hour of idleness takes no hour in a test."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

EPOCH_S = 1759505603.496  # 2025-10-03T15:33:23.496Z, when the documentation's download starts


class Clock:
    """Stands still until it is advanced."""

    def __init__(self) -> None:
        self.on_advance: Callable[[], None] | None = None
        self._ahead_s = 0.0

    def now_s(self) -> float:
        """Return the time, in seconds of the Unix epoch."""
        return EPOCH_S + self._ahead_s

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass: idle models expire, downloads go on."""
        self._ahead_s += seconds
        if self.on_advance is not None:
            self.on_advance()


class WallClock(Clock):
    """Runs as time does, and can be put forward besides."""

    def now_s(self) -> float:
        """Return the time, in seconds of the Unix epoch."""
        return time.time() + self._ahead_s


def iso(moment_s: float) -> str:
    """Return *moment_s* as LM Studio writes times, such as ``2025-10-03T15:33:23.496Z``."""
    text = datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
