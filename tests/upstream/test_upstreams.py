"""Who answers, and when those who no longer do are closed."""

import asyncio
from collections.abc import Awaitable, Callable

from devsynthd.upstream.base import Chat, Delta, Ending, Listing, Stages, Vectors
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.upstreams import Upstreams


class Silent:
    """An upstream that only tells whether it was closed."""

    address = "http://upstream"
    manager = None

    def __init__(self) -> None:
        self.closed = asyncio.Event()

    async def models(self) -> Listing:
        raise NotImplementedError

    async def chat(self, chat: Chat, relay: Relay[Delta], stages: Stages) -> Ending:
        raise NotImplementedError(chat, relay, stages)

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        raise NotImplementedError(model, texts, stages)

    async def close(self) -> None:
        self.closed.set()


def run(test: Callable[[asyncio.TaskGroup], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            await test(tasks)

    asyncio.run(run())


def test_one_that_nobody_uses_is_closed_when_it_is_replaced() -> None:
    async def test(tasks: asyncio.TaskGroup) -> None:
        old, new = Silent(), Silent()
        upstreams = Upstreams(old, None, tasks)

        upstreams.replace(new, None)

        assert upstreams.current is new
        await old.closed.wait()
        assert not new.closed.is_set()

    run(test)


def test_one_that_is_used_is_closed_after_its_last_use() -> None:
    async def test(tasks: asyncio.TaskGroup) -> None:
        old, new = Silent(), Silent()
        upstreams = Upstreams(old, None, tasks)
        with upstreams.use(old):
            with upstreams.use(old):
                upstreams.replace(new, None)
            await asyncio.sleep(0)
            assert not old.closed.is_set()
        await old.closed.wait()

    run(test)


def test_one_that_goes_on_in_another_role_stays_open() -> None:
    async def test(tasks: asyncio.TaskGroup) -> None:
        engine, server = Silent(), Silent()
        upstreams = Upstreams(engine, engine, tasks)
        with upstreams.use(engine):
            upstreams.replace(server, engine)
        await asyncio.sleep(0)
        assert not engine.closed.is_set()

        upstreams.replace(server, None)
        await engine.closed.wait()

    run(test)


def test_at_the_end_all_are_closed_those_that_still_have_users_too() -> None:
    async def test(tasks: asyncio.TaskGroup) -> None:
        old, new, engine = Silent(), Silent(), Silent()
        upstreams = Upstreams(old, engine, tasks)
        with upstreams.use(old):
            upstreams.replace(new, engine)
            await upstreams.close()
            assert all(each.closed.is_set() for each in (old, new, engine))

    run(test)
