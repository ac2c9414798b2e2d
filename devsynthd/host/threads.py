"""Threads for what blocks, on a machine that may have no more of them."""

import errno
from concurrent.futures import ThreadPoolExecutor
from typing import Self


class Threads(ThreadPoolExecutor):
    """A pool whose threads do all of the work where the system does not grant another one.

    Only if there is none at all, ``submit`` raises OSError (EAGAIN), and what it was given is never
    done: the pool as Python has it would say that it failed, and do it later all the same.
    """

    def started(self) -> Self:
        """Return the pool once it has a thread: ``submit`` never fails then."""
        self.submit(int).result()
        return self

    def _adjust_thread_count(self) -> None:
        try:
            super()._adjust_thread_count()
        except RuntimeError as exc:
            if not self._threads:
                self._work_queue.get_nowait()  # it was put there first, and is all that is there
                raise OSError(errno.EAGAIN, "no thread can be started") from exc
