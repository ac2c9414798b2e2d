"""The cache files as anybody may read them: what they are called, and the models that they hold."""

from pathlib import Path

import msgspec
from msgspec import Struct

from devsynthd.wire.objects import Model

PATTERN = "models-*.json"
"""What the cache files of a directory are called, one a server."""

MAX_FILE_BYTES = 64 * 2**20

# msgspec's DecodeError is a ValueError, as is text that is not UTF-8.
READ_ERRORS = (OSError, ValueError, RecursionError)


class _KeptListing(Struct, frozen=True):
    models: tuple[Model, ...]


class _Kept(Struct, frozen=True):
    """The part of a file that tells the models; null if the server never listed any."""

    listing: _KeptListing | None


def _content(path: Path) -> bytes:
    """Return what is in the file *path*.

    Raises:
        OSError, ValueError: It cannot be read, or is too large to be a cache file.
    """
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"larger than {MAX_FILE_BYTES} bytes")
    return path.read_bytes()


def newest_models(directory: Path) -> tuple[Model, ...]:
    """Return the models of the file in *directory* that was written last.

    None if there is no file, or nothing in it that makes sense: who asks wants to help, not to
    complain.
    """
    try:
        newest = max(directory.glob(PATTERN), key=lambda path: path.stat().st_mtime, default=None)
        kept = msgspec.json.decode(_content(newest), type=_Kept) if newest else None
    except READ_ERRORS:
        return ()
    return kept.listing.models if kept and kept.listing else ()
