"""What the catalog and its poller make of a machine that slept, and of a date that is set.

The event loop's timers stand still during a suspend, and the clock for ages does not.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devsynthd.catalog.catalog import Catalog, Origin
from devsynthd.catalog.choice import Wishes
from devsynthd.catalog.pace import Pace
from devsynthd.catalog.poller import Poller, Presence
from devsynthd.upstream.base import Listing
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.objects import Model
from tests.catalog.test_poller import Clock, Lister

NIGHT_S = 8 * 3600.0
TICK_S = 0.01
LISTING = Listing("openai", (Model(id="m", name="m"),))


class Watched(Presence):
    """Tells when the poller is about to pause: it asks for how long nobody has been there."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.pausing = asyncio.Event()

    def idle_for_s(self) -> float:
        self.pausing.set()
        return super().idle_for_s()


class Sleeper:
    """A poller on clocks that the test sets; *wall* is the date."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.clock, self.wall, self.upstream = Clock(), Clock(), Lister()
        self.presence = Watched(self.clock)
        wishes = Wishes(selected=None, configured="", auto_select=True, stand_in="local_model")
        self.catalog = Catalog(
            Origin("openai", "http://upstream"),
            wishes,
            engine=False,
            generation=1,
            clock=self.clock,
            wall=self.wall,
        )
        self.poller = Poller(
            Upstreams(self.upstream, None, tasks),
            self.catalog,
            Pace(60, 60),
            self.presence,
            tasks,
            asyncio.Event(),
            clock=self.clock,
            tick_s=TICK_S,
        )

    async def pausing(self, within_s: float = 5) -> None:
        """Wait until the poller has polled, and waits to do it again."""
        async with asyncio.timeout(within_s):
            await self.presence.pausing.wait()
        self.presence.pausing.clear()

    def sleep(self, seconds: float) -> None:
        """Let the machine sleep: the date goes on as well."""
        self.clock.now_s += seconds
        self.wall.now_s += seconds


@asynccontextmanager
async def polling() -> AsyncIterator[Sleeper]:
    async with asyncio.TaskGroup() as tasks:
        here = Sleeper(tasks)
        run = tasks.create_task(here.poller.run())
        await here.pausing()
        yield here
        run.cancel()


def test_a_poll_that_became_due_meanwhile_happens_once() -> None:
    async def run() -> None:
        async with polling() as here:
            here.sleep(NIGHT_S)  # in which 480 polls were due
            await here.pausing()
            assert here.upstream.asked == 2
            with pytest.raises(TimeoutError):
                await here.pausing(within_s=10 * TICK_S)

    asyncio.run(run())


def test_the_back_off_begins_anew() -> None:
    """The network may take a moment to come back: that is no reason to wait for half a minute."""

    async def run() -> None:
        async with polling() as here:
            here.catalog.failures = 10
            here.upstream.is_down = True
            here.sleep(NIGHT_S)
            await here.pausing()
            assert here.catalog.failures == 1

    asyncio.run(run())


def test_without_a_suspend_the_back_off_goes_on() -> None:
    async def run() -> None:
        async with polling() as here:
            here.catalog.failures = 10
            here.upstream.is_down = True
            here.sleep(60)  # just due
            await here.pausing()
            assert here.catalog.failures == 11

    asyncio.run(run())


def test_after_a_suspend_the_list_is_late_and_says_its_age() -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            here = Sleeper(tasks)
            await here.poller.refresh()
            here.clock.now_s += 3
            assert (here.catalog.age_s, here.poller.is_late) == (3, False)
            here.sleep(NIGHT_S)
            assert (here.catalog.age_s, here.poller.is_late) == (NIGHT_S + 3, True)

    asyncio.run(run())


@pytest.mark.parametrize("jump_s", [-5 * 3600.0, 5 * 3600.0])
def test_whoever_sets_the_date_does_not_change_an_age(jump_s: float) -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            here = Sleeper(tasks)
            here.catalog.observe(LISTING)
            here.clock.now_s += 3
            here.wall.now_s += jump_s
            assert here.catalog.age_s == 3
            assert not here.poller.is_late

    asyncio.run(run())


def test_a_list_of_an_earlier_run_is_as_old_as_the_date_says() -> None:
    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            here = Sleeper(tasks)
            here.catalog.recall(LISTING, here.wall() - 700)
            assert here.catalog.age_s == 700
            here.wall.now_s -= 5 * 3600
            assert here.catalog.age_s == 700

    asyncio.run(run())


def test_a_list_that_is_from_the_future_is_not_younger_than_now() -> None:
    """The date was set back between two runs."""

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            here = Sleeper(tasks)
            here.catalog.recall(LISTING, here.wall() + 700)
            assert here.catalog.age_s == 0
            assert here.catalog.stale

    asyncio.run(run())
