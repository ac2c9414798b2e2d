"""Hangs up on clients when what they have begun to send takes too much memory."""

import asyncio
import logging
from collections.abc import Callable

logger = logging.getLogger(__name__)

MAX_GROWTH_BYTES = 2**30
"""Far more than all that may wait for its turn, and than some requests of the largest size."""

LOOK_S = 0.5


class Shedding:
    """Keeps what peers have sent of messages that are not whole yet from taking all memory.

    It lies in libzmq, which limits a frame, but neither the parts of a message nor the number of
    peers, and does not tell whose it is. So all are hung up on who have nothing under way; if that
    did not help, all. They may come again. Growth that is left then is taken for the daemon's own.

    Args:
        resident_bytes: Returns the memory in use; null where that cannot be told.
        connections: Returns how many there are. While there are none, nothing is looked at.
        hang_up: Ends connections, but for those that wait for an answer if it is told so; returns
            how many.
    """

    def __init__(
        self,
        resident_bytes: Callable[[], int | None],
        connections: Callable[[], int],
        hang_up: Callable[[bool], int],
        *,
        max_growth_bytes: int = MAX_GROWTH_BYTES,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        self._resident_bytes, self._connections = resident_bytes, connections
        self._hang_up = hang_up
        self._max_growth_bytes = max_growth_bytes
        self._usual_bytes = resident_bytes() or 0
        self._tried = 0  # times in a row
        self._call_later = call_later or asyncio.get_running_loop().call_later
        self._is_due = False

    def watch(self) -> None:
        """Look from now on, until there are no connections."""
        if not self._is_due:
            self._is_due = True
            self._call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self._is_due = False
        if not self._connections():
            return
        self.watch()
        resident_bytes = self._resident_bytes() or 0
        if resident_bytes - self._usual_bytes < self._max_growth_bytes:
            self._tried = 0
        elif self._tried == 2:  # noqa: PLR2004 - both ways
            self._usual_bytes, self._tried = resident_bytes, 0
        else:
            self._tried += 1
            ended = self._hang_up(self._tried == 1)
            logger.warning(
                "%d MiB of memory are in use, maybe for what clients have begun to send: "
                "hung up on %d of them",
                resident_bytes // 2**20,
                ended,
            )
