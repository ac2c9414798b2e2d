"""When the upstream is asked, and by whom."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devsynthd.catalog.catalog import Catalog, Origin
from devsynthd.catalog.choice import Wishes
from devsynthd.catalog.pace import IDLE_AFTER_S, Pace
from devsynthd.catalog.poller import FRESH_S, Poller, Presence
from devsynthd.upstream.base import Chat, Delta, Ending, Listing, Stages, Vectors
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.errors import UpstreamUnavailable
from devsynthd.wire.objects import Model

LISTING = Listing("openai", (Model(id="m", name="m"),))


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Lister:
    """An upstream that lists when the test lets it."""

    address = "http://upstream"
    manager = None

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.is_down = False

    async def models(self) -> Listing:
        self.asked += 1
        self.was_asked.set()
        await self.may_answer.wait()
        if self.is_down:
            raise UpstreamUnavailable("refused")
        return LISTING

    async def chat(self, chat: Chat, relay: Relay[Delta], stages: Stages) -> Ending:
        raise AssertionError(f"nobody asks: {chat}, {relay}, {stages}")

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        raise AssertionError(f"nobody asks: {model}, {texts}, {stages}")

    async def close(self) -> None:
        pass


class Setup:
    """A poller with all that it works on."""

    def __init__(self, tasks: asyncio.TaskGroup) -> None:
        self.clock, self.upstream, self.wake = Clock(), Lister(), asyncio.Event()
        wishes = Wishes(selected=None, configured="", auto_select=True, stand_in="local_model")
        self.catalog = Catalog(
            Origin("openai", "http://upstream"), wishes, engine=False, generation=1
        )
        self.upstreams = Upstreams(self.upstream, None, tasks)
        self.poller = Poller(
            self.upstreams,
            self.catalog,
            Pace(5, 60),
            Presence(self.clock),
            tasks,
            self.wake,
            clock=self.clock,
        )


@asynccontextmanager
async def setup() -> AsyncIterator[Setup]:
    async with asyncio.TaskGroup() as tasks:
        yield Setup(tasks)


def test_whoever_asks_meanwhile_shares_the_request() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            waiting = [asyncio.ensure_future(here.poller.refresh()) for _ in range(50)]
            await here.upstream.was_asked.wait()
            here.upstream.may_answer.set()
            await asyncio.gather(*waiting)
            assert here.upstream.asked == 1
            await here.poller.refresh()
            assert here.upstream.asked == 2

    asyncio.run(run())


def test_one_who_leaves_does_not_end_the_request_of_the_others() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            first, second = (asyncio.ensure_future(here.poller.refresh()) for _ in range(2))
            await here.upstream.was_asked.wait()
            first.cancel()
            here.upstream.may_answer.set()
            await second
            assert here.upstream.asked == 1
            assert here.catalog.listing == LISTING

    asyncio.run(run())


def test_a_result_of_less_than_a_second_counts() -> None:
    async def run() -> None:
        async with setup() as here:
            await here.poller.probe(1)
            await here.poller.probe(1)
            assert here.upstream.asked == 1
            here.clock.now_s += FRESH_S
            await here.poller.probe(1)
            assert here.upstream.asked == 2

    asyncio.run(run())


def test_a_probe_waits_no_longer_than_it_may() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            await here.poller.probe(0.01)
            assert not here.poller.has_polled
            here.upstream.may_answer.set()
            await here.poller.refresh()
            assert here.upstream.asked == 1

    asyncio.run(run())


@pytest.mark.parametrize(("passed_s", "late"), [(0, False), (10, False), (10.1, True)])
def test_polling_that_was_idle_leaves_the_list_late(passed_s: float, late: bool) -> None:  # noqa: FBT001 - a column
    async def run() -> None:
        async with setup() as here:
            assert not here.poller.is_late
            await here.poller.refresh()
            here.clock.now_s += passed_s
            assert here.poller.is_late is late

    asyncio.run(run())


@pytest.mark.parametrize(("away_s", "wakes"), [(IDLE_AFTER_S - 1, False), (IDLE_AFTER_S, True)])
def test_the_first_client_after_an_idle_pause_starts_a_poll(away_s: float, wakes: bool) -> None:  # noqa: FBT001 - a column
    async def run() -> None:
        async with setup() as here:
            here.poller.connected(1)
            here.poller.connected(0)
            here.clock.now_s += away_s
            here.poller.connected(1)
            assert here.wake.is_set() is wakes

    asyncio.run(run())


def test_the_generation_grows_only_when_something_changes() -> None:
    async def run() -> None:
        async with setup() as here:
            seen = []
            for is_down in (False, False, True, True, False):
                here.upstream.is_down = is_down
                await here.poller.refresh()
                seen.append(here.catalog.generation)
            assert seen == [2, 2, 3, 3, 4]

    asyncio.run(run())


def test_whoever_waits_for_an_upstream_that_is_replaced_gets_the_answer_of_the_new_one() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            waiting = [asyncio.ensure_future(here.poller.refresh()) for _ in range(3)]
            anew = asyncio.ensure_future(here.poller.refresh_anew())
            await here.upstream.was_asked.wait()
            new = Lister()

            here.upstreams.replace(new, None)
            here.poller.restart(anew=True)
            assert not here.poller.has_polled
            await asyncio.gather(*waiting, anew)

            assert here.catalog.listing == LISTING
            assert (here.upstream.asked, new.asked) == (1, 2)
            assert here.poller.has_polled

    asyncio.run(run())


def test_a_poll_that_is_given_up_tells_the_catalog_nothing() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            here.upstream.is_down = True
            here.poller.refresh_soon()
            await here.upstream.was_asked.wait()
            here.upstream.may_answer.set()
            new = Lister()
            here.upstreams.replace(new, None)
            here.poller.restart(anew=True)
            await here.poller.refresh()

            assert here.catalog.failures == 0
            assert here.catalog.error is None

    asyncio.run(run())


def test_whoever_waits_when_polling_ends_is_let_go() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            waiting = asyncio.ensure_future(here.poller.refresh())
            await here.upstream.was_asked.wait()
            here.poller.close()
            await waiting

    asyncio.run(run())


def test_what_is_outdated_is_asked_anew_after_the_answer_that_is_under_way() -> None:
    async def run() -> None:
        async with setup() as here:
            here.upstream.may_answer.clear()
            under_way = asyncio.ensure_future(here.poller.refresh())
            await here.upstream.was_asked.wait()

            here.upstream.was_asked.clear()
            here.poller.refresh_anew_soon()
            here.upstream.may_answer.set()
            await under_way
            await asyncio.wait_for(here.upstream.was_asked.wait(), 5)

            assert here.upstream.asked == 2

    asyncio.run(run())
