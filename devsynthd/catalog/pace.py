"""When to poll again. Pure."""

from msgspec import Struct

MAX_BACK_OFF_S = 30.0
FIRST_BACK_OFF_S = 1.0
IDLE_AFTER_S = 300.0


class Pace(Struct, frozen=True):
    """The poll intervals in seconds: *idle_s* when no client was connected for five minutes."""

    interval_s: float
    idle_s: float

    def delay_s(self, failures: int, idle_for_s: float, jitter: float) -> float:
        """Return how long to wait after a poll.

        *failures* counts the failed polls in a row; while there are any, the wait doubles up to
        30 s. *jitter* (0 to 1) shortens that wait by up to half, so that daemons spread out.
        """
        usual = self.idle_s if self.is_idle(idle_for_s) else self.interval_s
        if failures == 0:
            return usual
        back_off: float = min(MAX_BACK_OFF_S, FIRST_BACK_OFF_S * 2.0 ** min(failures - 1, 10))
        return max(back_off * (1 - jitter / 2), usual if self.is_idle(idle_for_s) else 0)

    def is_idle(self, idle_for_s: float) -> bool:
        """Return whether nobody was there for so long that polling slows down."""
        return idle_for_s >= IDLE_AFTER_S
