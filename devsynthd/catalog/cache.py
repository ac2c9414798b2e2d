"""The cache files: the last good list and the generation, kept for the next start."""

import hashlib
import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from devsynthd.catalog.cache_file import MAX_FILE_BYTES, PATTERN, READ_ERRORS, content
from devsynthd.catalog.catalog import Origin
from devsynthd.host.folders import make_private_folder
from devsynthd.host.paths import NOWHERE
from devsynthd.upstream.base import Listing

__all__ = ["MAX_FILE_BYTES", "READ_ERRORS", "Cache", "Cached"]

logger = logging.getLogger(__name__)


class Cached(Struct, frozen=True, kw_only=True):
    """The content of a cache file. *listing* and *fetched_at* are null if there never was one."""

    origin: Origin
    generation: int
    fetched_at: float | None
    listing: Listing | None


class Cache:
    """The files in *directory*, one an origin: a list of another server is never served.

    Without a *directory* nothing is kept.
    """

    def __init__(self, directory: Path | None) -> None:
        self._keeps, self._directory = directory is not None, directory or NOWHERE

    def path(self, origin: Origin) -> Path:
        """Return the file of *origin*, whether or not it exists."""
        key = hashlib.sha256(f"{origin.provider} {origin.api_base}".encode()).hexdigest()[:16]
        return self._directory / PATTERN.replace("*", key)

    def read(self, origin: Origin) -> Cached | None:
        """Return what was kept; none if there is nothing, or nothing that makes sense."""
        path = self.path(origin)
        try:
            cached = _read(path)
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
                    highest = max(highest, _read(path).generation)
        return highest

    def write(self, cached: Cached) -> None:
        """Replace the file of its origin by *cached*, whole or not at all.

        Raises:
            OSError: It cannot be written.
        """
        if not self._keeps:
            return
        make_private_folder(self._directory)
        fd, name = tempfile.mkstemp(prefix=".models-", dir=self._directory)
        try:
            with os.fdopen(fd, "wb") as file:
                os.fchmod(fd, 0o600)  # a umask may take away even what its owner needs
                file.write(msgspec.json.encode(cached))
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self.path(cached.origin))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def _read(path: Path) -> Cached:
    """Return the content of *path*.

    Raises:
        OSError, ValueError, RecursionError: It cannot be read, or makes no sense.
    """
    return msgspec.json.decode(content(path), type=Cached)
