"""The cache file follows the catalog, and ends with its last state."""

import asyncio
import threading
from pathlib import Path

from devsynthd.catalog.cache import Cache, Cached
from devsynthd.catalog.catalog import Catalog, Origin
from devsynthd.catalog.choice import Wishes
from devsynthd.catalog.keeper import Keeper
from devsynthd.upstream.base import Listing
from devsynthd.wire.objects import Model

ORIGIN = Origin("openai", "http://upstream")
LISTING = Listing("openai", (Model(id="m", name="m"),))


class SlowCache(Cache):
    """A cache whose first write takes until the test lets it end."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.begun, self.may_end = threading.Event(), threading.Event()

    def write(self, cached: Cached) -> None:
        if not self.begun.is_set():
            self.begun.set()
            assert self.may_end.wait(10)
        super().write(cached)


def catalog() -> Catalog:
    wishes = Wishes(selected=None, configured="", auto_select=True, stand_in="local_model")
    return Catalog(ORIGIN, wishes, engine=False, generation=1)


def test_a_write_that_takes_long_does_not_overtake_the_last_one(tmp_path: Path) -> None:
    file, models = SlowCache(tmp_path), catalog()

    async def run() -> None:
        keeper = Keeper(models, file)
        keeping = asyncio.ensure_future(keeper.run())
        await asyncio.to_thread(file.begun.wait)
        models.observe(LISTING)
        keeping.cancel()
        flushing = asyncio.create_task(asyncio.to_thread(keeper.flush))
        await asyncio.wait({flushing}, timeout=0.2)  # it may not end before the first one has
        file.may_end.set()
        await flushing

    asyncio.run(run())

    kept = file.read(ORIGIN)
    assert kept is not None
    assert (kept.generation, kept.listing) == (models.generation, LISTING)
