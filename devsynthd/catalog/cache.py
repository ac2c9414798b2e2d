"""The cache files: the last good list and the generation, kept for the next start."""

import hashlib
import logging
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from devsynthd.catalog.cache_file import MAX_FILE_BYTES, PATTERN, READ_ERRORS
from devsynthd.catalog.catalog import Origin
from devsynthd.host.disk import DISK, Disk
from devsynthd.host.folders import make_private_folder
from devsynthd.host.paths import NOWHERE
from devsynthd.upstream.base import Listing

__all__ = ["MAX_FILE_BYTES", "READ_ERRORS", "Cache", "Cached"]

logger = logging.getLogger(__name__)

MAX_GENERATION = 2**52
"""No daemon gets there. Those that follow on it are still numbers that every reader keeps exact."""


class Cached(Struct, frozen=True, kw_only=True):
    """The content of a cache file. *listing* and *fetched_at* are null if there never was one."""

    origin: Origin
    generation: Annotated[int, Meta(ge=0, le=MAX_GENERATION)]
    fetched_at: float | None
    listing: Listing | None


class Cache:
    """The files in *directory*, one an origin: a list of another server is never served.

    Without a *directory* nothing is kept.
    """

    def __init__(self, directory: Path | None, disk: Disk = DISK) -> None:
        self._keeps, self._directory = directory is not None, directory or NOWHERE
        self._disk = disk

    def path(self, origin: Origin) -> Path:
        """Return the file of *origin*, whether or not it exists."""
        key = hashlib.sha256(f"{origin.provider} {origin.api_base}".encode()).hexdigest()[:16]
        return self._directory / PATTERN.replace("*", key)

    def read(self, origin: Origin) -> Cached | None:
        """Return what was kept; none if there is nothing, or nothing that makes sense."""
        path = self.path(origin)
        try:
            cached = self._read(path)
        except FileNotFoundError:
            return None
        except READ_ERRORS as exc:
            logger.warning("cache file %s ignored: %s", path, exc)
            return None
        return cached if cached.origin == origin else None

    def highest_generation(self) -> int:
        """Return the highest generation that any file of the directory knows, else 0."""
        highest = 0
        with suppress(OSError):
            for path in self._directory.glob(PATTERN):
                with suppress(*READ_ERRORS):
                    highest = max(highest, self._read(path).generation)
        return highest

    def write(self, cached: Cached) -> None:
        """Replace the file of its origin by *cached*, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        if not self._keeps:
            return
        make_private_folder(self._directory)
        self._disk.replace(self.path(cached.origin), msgspec.json.encode(cached))

    def _read(self, path: Path) -> Cached:
        """Return the content of *path*.

        Raises:
            OSError, ValueError, RecursionError: It cannot be read, or makes no sense.
        """
        cached = msgspec.json.decode(self._disk.read(path, MAX_FILE_BYTES), type=Cached)
        try:
            msgspec.msgpack.encode(cached)
        except OverflowError as exc:
            raise ValueError(f"it cannot be told to a client: {exc}") from exc
        return cached
