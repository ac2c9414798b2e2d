"""Lets connections in one by one, and only while there are descriptors for them."""

import asyncio
import logging
import os
import select
import socket
from collections.abc import Callable

from devsynthd.transport.poller_entry import PollerEntry

logger = logging.getLogger(__name__)

SPARE_DESCRIPTORS = 16
"""Left to the daemon itself: connections to the upstream, its files, its question to itself."""

RETRY_S = 0.1


class Admission:
    """Decides when libzmq accepts the next connection of *listener*.

    libzmq ends the process if it runs out of descriptors while it accepts. So its poller hears of
    a connection only when there are enough, and of one at a time: the kernel sees to that, however
    many come at once and however busy this loop is. The others wait in the listener's backlog.

    *listener* is another descriptor of the socket than libzmq's. Without an *entry* it accepts
    whatever comes. *can_open* returns whether so many files more may be opened now.
    """

    def __init__(
        self,
        listener: socket.socket,
        entry: PollerEntry | None,
        can_open: Callable[[int], bool] | None = None,
    ) -> None:
        self._listener, self._entry = listener, entry
        self._can_open = can_open or self._try_to_open
        self._loop = asyncio.get_running_loop()
        self._retry: asyncio.TimerHandle | None = None
        self.is_shut = False
        if entry is not None:
            entry.tell_nothing()
            self._wait()

    def accepted(self) -> None:
        """Note that a connection was accepted, or that this has failed."""
        if self._entry is not None:
            if self.is_shut and not self._somebody_waits():
                self._note(is_shut=False)
            self._wait()

    def close(self) -> None:
        """Let nobody in any more, and close the listener."""
        if self._entry is not None:
            self._loop.remove_reader(self._listener)
        if self._retry is not None:
            self._retry.cancel()
        self._entry = None
        self._listener.close()

    def _wait(self) -> None:
        self._loop.add_reader(self._listener, self._admit)

    def _admit(self) -> None:
        """Let in the one who waits, if there is a descriptor for it."""
        assert self._entry is not None  # noqa: S101 - else nobody would call this
        self._loop.remove_reader(self._listener)
        if self._can_open(SPARE_DESCRIPTORS):
            self._entry.tell_once()
        else:
            self._note(is_shut=True)
            self._retry = self._loop.call_later(RETRY_S, self._admit)

    def _note(self, *, is_shut: bool) -> None:
        if is_shut == self.is_shut:
            return
        self.is_shut = is_shut
        if is_shut:
            logger.warning(
                "too many files are open: new clients wait until others leave; "
                "`ulimit -Hn` shows the limit, LimitNOFILE= of a systemd unit sets it"
            )
        else:
            logger.info("new clients are let in again")

    def _somebody_waits(self) -> bool:
        look = select.poll()
        look.register(self._listener, select.POLLIN)
        return bool(look.poll(0))

    def _try_to_open(self, count: int) -> bool:
        copies: list[int] = []
        try:
            copies.extend(os.dup(self._listener.fileno()) for _ in range(count))
        except OSError:
            return False
        finally:
            for copy in copies:
                os.close(copy)
        return True
