"""What is over leaves nothing behind that only a collection of cycles would find."""

import asyncio
import gc
import weakref
from collections.abc import Iterator

import pytest

from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.line import Line


class Failure(Exception):
    """What an exchange fails with."""


@pytest.fixture
def _without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_without_collections")
def test_an_exchange_that_fails_is_forgotten() -> None:
    def fail(_: Line) -> None:
        raise Failure

    async def run() -> None:
        exchanges = Exchanges(1, name="test")
        try:
            await exchanges.run(fail)
        except Failure as exc:
            kept = weakref.ref(exc)
        # The thread drops its part of it when it turns to the next.
        await exchanges.run(lambda _: None)
        assert kept() is None
        await exchanges.close()

    asyncio.run(run())
