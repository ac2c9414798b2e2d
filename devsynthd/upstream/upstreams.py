"""Who answers now, and who still has to finish what it was asked."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from devsynthd.upstream.base import Upstream


class Upstreams:
    """The upstream in force, and the embedded engine where it may stand in.

    Either can be replaced at any time. What is under way there goes on; the old one is closed when
    nobody uses it any more.
    """

    def __init__(
        self, current: Upstream, stand_in: Upstream | None, tasks: asyncio.TaskGroup
    ) -> None:
        self.current, self.stand_in, self._tasks = current, stand_in, tasks
        self._users: Counter[Upstream] = Counter()

    def replace(self, current: Upstream, stand_in: Upstream | None) -> None:
        """Have these answer from now on; either may be the one that it was."""
        before = {self.current, self.stand_in}
        self.current, self.stand_in = current, stand_in
        for upstream in before:
            self._close_if_done(upstream)

    @contextmanager
    def use(self, upstream: Upstream) -> Iterator[None]:
        """Keep *upstream*, one of those in force, open while inside."""
        self._users[upstream] += 1
        try:
            yield
        finally:
            self._users[upstream] -= 1
            self._close_if_done(upstream)

    async def close(self) -> None:
        """Hang up on all that is under way, and close them all."""
        for upstream in {self.current, self.stand_in, *self._users}:
            if upstream is not None:
                await upstream.close()

    def _close_if_done(self, upstream: Upstream | None) -> None:
        if upstream is None or self._users[upstream] > 0:
            return
        del self._users[upstream]
        if upstream not in (self.current, self.stand_in):
            self._tasks.create_task(upstream.close())
