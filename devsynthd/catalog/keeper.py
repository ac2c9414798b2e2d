"""Writes the cache file after the catalog has changed, off the event loop."""

import asyncio
import logging
import threading

from devsynthd.catalog.cache import Cache, Cached
from devsynthd.catalog.catalog import Catalog

logger = logging.getLogger(__name__)


def recall(catalog: Catalog, cached: Cached | None) -> None:
    """Let *catalog* start with what was kept, if there is a list among it."""
    if cached and cached.listing and cached.fetched_at is not None:
        catalog.recall(cached.listing, cached.fetched_at)


class Keeper:
    """Keeps *cache* up to date with *catalog*; many changes in a row are one write."""

    def __init__(self, catalog: Catalog, cache: Cache) -> None:
        self._catalog, self._cache = catalog, cache
        self._kept = -1
        self._failed = False
        self._writing = threading.Lock()
        self._written = -1

    async def run(self) -> None:
        """Write after each change, until cancelled."""
        while True:
            if self._kept == self._catalog.generation:
                await self._catalog.change()
            await asyncio.to_thread(self._write, self._cached())

    def flush(self) -> None:
        """Write what has changed since the last write that went well."""
        if self._written != self._catalog.generation:
            self._write(self._cached())

    def _cached(self) -> Cached:
        catalog = self._catalog
        self._kept = catalog.generation
        return Cached(
            origin=catalog.origin,
            generation=catalog.generation,
            fetched_at=catalog.fetched_at,
            listing=catalog.listing,
        )

    def _write(self, cached: Cached) -> None:
        """Write *cached*, unless something newer is written: writes may overtake each other."""
        with self._writing:
            if cached.generation < self._written:
                return
            try:
                self._cache.write(cached)
            except OSError as exc:
                self._complain(cached, exc)
            else:
                self._written, self._failed = cached.generation, False

    def _complain(self, cached: Cached, exc: OSError) -> None:
        if not self._failed:
            logger.warning(
                "cannot write the cache file %s (%s): the list will not survive a restart",
                self._cache.path(cached.origin),
                exc.strerror,
            )
        self._failed = True
