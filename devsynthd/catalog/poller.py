"""Asks the upstream for its models: on the interval, and at once for whoever needs it."""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable

from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.pace import Pace
from devsynthd.host.clock import elapsed_s
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.errors import DevsynthError, Internal

logger = logging.getLogger(__name__)

FRESH_S = 1.0  # a result younger than this need not be asked for again
LATE_INTERVALS = 2.0

TICK_S = 5.0
"""How soon after a suspend a poll that has become due is noticed: timers stand still meanwhile."""


class Presence:
    """Whether any client is connected, and for how long there was none."""

    def __init__(self, clock: Callable[[], float] = elapsed_s) -> None:
        self._clock, self._connections, self._left_at = clock, 0, clock()

    def connected(self, connections: int) -> None:
        """Note how many connections there are now."""
        if self._connections and not connections:
            self._left_at = self._clock()
        self._connections = connections

    def idle_for_s(self) -> float:
        """Return for how many seconds nobody has been connected."""
        return 0.0 if self._connections else self._clock() - self._left_at


class Poller:
    """Keeps *catalog* fresh. Everybody who wants a refresh at the same time shares one.

    Setting *wake* makes the next scheduled poll happen at once.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        catalog: Catalog,
        pace: Pace,
        presence: Presence,
        tasks: asyncio.TaskGroup,
        wake: asyncio.Event,
        *,
        clock: Callable[[], float] = elapsed_s,
        tick_s: float = TICK_S,
    ) -> None:
        self._upstreams, self._catalog, self.pace = upstreams, catalog, pace
        self._presence, self._tasks, self._wake, self._clock = presence, tasks, wake, clock
        self._tick_s = tick_s
        self._flight: asyncio.Task[None] | None = None
        self._ended_at: float | None = None

    @property
    def has_polled(self) -> bool:
        """Whether the first poll of this run has ended."""
        return self._ended_at is not None

    @property
    def is_late(self) -> bool:
        """Whether the last poll is longer ago than polling at its usual pace would leave it."""
        if self._ended_at is None:
            return False
        return self._clock() - self._ended_at > LATE_INTERVALS * self.pace.interval_s

    async def run(self) -> None:
        """Poll until cancelled."""
        while True:
            await self.refresh()
            delay_s = self.pace.delay_s(
                self._catalog.failures,
                self._presence.idle_for_s(),
                random.random(),  # noqa: S311 - spreads polls, protects nothing
            )
            await self._pause(delay_s)
            self._wake.clear()

    async def _pause(self, delay_s: float) -> None:
        """Wait *delay_s* seconds, those during a suspend included, or until somebody wakes us."""
        due = self._clock() + delay_s
        while not self._wake.is_set() and (left_s := due - self._clock()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left_s, self._tick_s)):
                    await self._wake.wait()
        if self._clock() - due > self._tick_s:
            self._catalog.forgive()

    def connected(self, connections: int) -> None:
        """Note how many clients there are; after an idle pause the first one starts a poll."""
        was_idle = self.pace.is_idle(self._presence.idle_for_s())
        self._presence.connected(connections)
        if was_idle and connections:
            self._wake.set()

    def refresh_soon(self) -> asyncio.Task[None]:
        """Ask the upstream now, if nobody does already; return the task that does it."""
        if self._flight is None:
            self._flight = self._tasks.create_task(self._poll())
        return self._flight

    async def refresh(self) -> None:
        """Ask the upstream now, or wait for the answer that somebody else is waiting for."""
        flight: asyncio.Task[None] | None = self.refresh_soon()
        while flight is not None:
            await asyncio.wait({flight})
            # Another upstream may have taken the place of the one that was asked, or that answered.
            flight = self._flight if flight.cancelled() or not self.has_polled else None

    async def refresh_anew(self) -> None:
        """Ask the upstream from now on: an answer under way may tell what was a moment ago."""
        if self._flight is not None:
            await self.refresh()
        await self.refresh()

    def refresh_anew_soon(self) -> None:
        """Have the upstream asked from now on, for nobody in particular."""
        self._tasks.create_task(self.refresh_anew())

    async def probe(self, limit_s: float) -> None:
        """Refresh unless that was just done; wait *limit_s* at most, whatever comes of it."""
        if self._ended_at is not None and self._clock() - self._ended_at < FRESH_S:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self.refresh()

    def probe_soon(self) -> None:
        """Start a probe that nobody waits for."""
        if self._flight is None and self.has_polled:
            self._tasks.create_task(self.probe(FRESH_S))

    def restart(self, *, anew: bool) -> None:
        """Ask the upstream that is in force now at once, instead of one that was until now.

        *anew*: it is another one, of which no poll has told anything yet.
        """
        self._give_up()
        if anew:
            self._ended_at = None
        self.refresh_soon()
        self._wake.set()  # so that the next delay follows from what it is like

    def poll_soon(self) -> None:
        """Have the next scheduled poll happen now."""
        self._wake.set()

    def close(self) -> None:
        """Give up the poll under way."""
        self._give_up()

    def _give_up(self) -> None:
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.cancel()

    async def _poll(self) -> None:
        upstream = self._upstreams.current
        try:
            with self._upstreams.use(upstream):
                listing = await upstream.models()
        except DevsynthError as exc:
            self._finish()
            self._catalog.fail(exc)
        except Exception:
            logger.exception("a poll failed")
            self._finish()
            self._catalog.fail(Internal("the poll failed", hint="the daemon's log says more"))
        else:
            self._finish()
            self._catalog.observe(listing)

    def _finish(self) -> None:
        self._flight = None
        self._ended_at = self._clock()
