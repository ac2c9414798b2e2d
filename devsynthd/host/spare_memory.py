"""Gives the memory that work has left over back to the system, once some time has passed."""

import asyncio
from collections.abc import Callable

from devsynthd.host.limits import give_back_free_memory

AFTER_S = 20.0
"""So long after work memory is given back, and while work goes on, as often: it takes a
millisecond."""


class SpareMemory:
    """Calls *give_back* when *after_s* seconds have passed since something was done.

    Nothing is done while the daemon rests. All of it belongs on the event loop.
    """

    def __init__(
        self,
        give_back: Callable[[], object] = give_back_free_memory,
        *,
        after_s: float = AFTER_S,
    ) -> None:
        self._give_back, self._after_s = give_back, after_s
        self._timer: asyncio.TimerHandle | None = None

    def used(self) -> None:
        """Note that memory is being used."""
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._after_s, self._passed)

    def close(self) -> None:
        """Leave it as it is."""
        if self._timer is not None:
            self._timer.cancel()

    def _passed(self) -> None:
        self._timer = None
        self._give_back()
