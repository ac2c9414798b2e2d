"""The config file at the edge: read from disk, or told why not."""

import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from devsynthd.host.disk import DISK, Disk
from devsynthd.host.limits import SHORTAGE_HINT, shortage
from devsynthd.settings.document import given_by_toml
from devsynthd.settings.sources import (
    Given,
    Loaded,
    combine,
    given_by_environment,
    given_by_flags,
)
from devsynthd.wire.text import named

MAX_FILE_BYTES = 2**16

NAME_ANOTHER = "name another file with --config or DEVSYNTH_CONFIG, or none for the usual one"

SETTLE_S = 0.1
"""A file that is suddenly gone or empty may just be being saved: it has this long to come back."""


def load_settings(path: Path, environ: Mapping[str, str], flags: Mapping[str, object]) -> Loaded:
    """Return the settings from *flags* (by key), *environ*, the file *path* and the defaults.

    Raises:
        ConfigInvalid: A source has faults; the message has a line for each.
    """
    return combine(
        flags=given_by_flags(flags),
        environment=given_by_environment(environ),
        file=given_by_file(path),
    )


def given_by_file(path: Path, disk: Disk = DISK) -> Given | None:
    """Return what the file *path* sets; null if there is none."""
    try:
        data = read_file(path, disk)
    except OSError as exc:
        return _unreadable(path, exc)
    return None if data is None else given_by_toml(data, named(path))


def _unreadable(path: Path, exc: OSError) -> Given:
    """Return why the file *path* cannot be read, and what to do about it."""
    reason, remedy = exc.strerror or str(exc), NAME_ANOTHER
    if isinstance(exc, IsADirectoryError):
        reason = "it is a folder, not a file"
    elif isinstance(exc, PermissionError):
        remedy = f"make it readable for this user: {make_readable(named(path))}"
    elif shortage(exc):
        remedy = SHORTAGE_HINT
    return Given(errors=(f"{unreadable(named(path))}{reason}",), remedy=remedy)


def unreadable(path: str) -> str:
    """Return how an error begins that tells why the file *path* cannot be read."""
    return f"{path} cannot be read: "


def make_readable(path: str) -> str:
    """Return the command by which its owner makes the file *path* readable."""
    return f"chmod u+r {shlex.quote(path)}"


def read_file(path: Path, disk: Disk = DISK) -> bytes | None:
    """Return the content of *path*; null if there is nothing.

    Raises:
        OSError: It cannot be read, is no file, or is too big.
    """
    try:
        return disk.read(path, MAX_FILE_BYTES)
    except FileNotFoundError:
        return None


def others_can_read(path: Path) -> bool:
    """Return whether users besides the owner may read the file *path*, if it is there."""
    try:
        return bool(path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH))
    except OSError:
        return False
