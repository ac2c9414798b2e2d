"""Tests that are coroutines."""

import asyncio
import functools
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


def on_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run *test* on an event loop of its own; it must leave no task and no fault."""

    async def watched(*args: P.args, **kwargs: P.kwargs) -> None:
        faults: list[dict[str, Any]] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: faults.append(context))
        await test(*args, **kwargs)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not faults

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(watched(*args, **kwargs))

    return run
