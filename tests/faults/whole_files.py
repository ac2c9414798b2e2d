"""What writes a file whole: each writer with its disk, and what the file holds before and after."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from devsynthctl.chat.history import History
from devsynthd.catalog.cache import Cache, Cached
from devsynthd.catalog.catalog import Origin
from devsynthd.host.disk import PREFIX, Disk
from devsynthd.settings.store import edit_file, replace_file
from devsynthd.upstream.base import Listing
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.objects import Model
from tests.faults.failing_disk import FailingDisk

CODES = tuple(
    getattr(errno, name)
    for name in ("ENOSPC", "EIO", "EROFS", "EACCES", "EMFILE", "ENFILE", "EDQUOT", "ENOMEM")
)

ORIGIN = Origin("openai", "http://localhost:1/v1")
OLD = b'# mine\n[llm]\nmodel = "a" # why\n'
NEW = b'# mine\n[llm]\nmodel = "b" # why\n'


class Writer(Struct, frozen=True):
    """Writes the file *name* of a folder; *before* is null where there is none at first."""

    operation: str
    name: str
    before: bytes | None
    after: bytes
    write: Callable[[Path, Disk], object]


def _kept(generation: int) -> Cached:
    listing = Listing("openai", (Model(id="m", name="m"),))
    return Cached(origin=ORIGIN, generation=generation, fetched_at=1.0, listing=listing)


def _accept(_: bytes) -> None:
    pass


WRITERS = (
    Writer(
        "config set",
        "config.toml",
        OLD,
        NEW,
        lambda path, disk: edit_file(path, {"llm_model": "b"}, _accept, disk=disk),
    ),
    Writer(
        "config set, the first one",
        "config.toml",
        None,
        b'[llm]\nmodel = "b"\n',
        lambda path, disk: edit_file(path, {"llm_model": "b"}, _accept, disk=disk),
    ),
    Writer(
        "config unset",
        "config.toml",
        NEW,
        b"# mine\n[llm]\n# why\n",
        lambda path, disk: edit_file(path, {"llm_model": None}, _accept, disk=disk),
    ),
    Writer(
        "config edit",
        "config.toml",
        OLD,
        NEW,
        lambda path, disk: replace_file(path, NEW, expected=OLD, disk=disk),
    ),
    Writer(
        "the cache at a refresh",
        Cache(Path("/")).path(ORIGIN).name,
        msgspec.json.encode(_kept(1)),
        msgspec.json.encode(_kept(2)),
        lambda path, disk: Cache(path.parent, disk).write(_kept(2)),
    ),
    Writer(
        "a line of chat",
        "history.jsonl",
        b'"a"\n',
        b'"a"\n"b"\n',
        lambda path, disk: History(path, disk).add("b"),
    ),
)


CASES = [
    *((writer, code) for writer in WRITERS for code in (errno.ENOSPC, errno.EIO)),
    *((WRITERS[0], code) for code in CODES if code not in (errno.ENOSPC, errno.EIO)),
]
"""Which writer meets which error: which one it is makes a difference in words only."""


class Found(Struct, frozen=True):
    """What was there after one try: *error* is what the person is told, if it failed."""

    step: str
    error: str | None
    content: bytes | None
    left_over: tuple[str, ...]
    descriptors: int


def tries(folder: Path, writer: Writer, code: int, *, dies: bool = False) -> Iterator[Found]:
    """Have *writer* write with its first step failing, with its second one, until none is left.

    With *dies* all steps after the one that fails do so too.
    """
    path, disk = folder / writer.name, FailingDisk()
    number = 0
    while True:
        number += 1
        for each in folder.iterdir():
            each.unlink()
        if writer.before is not None:
            path.write_bytes(writer.before)
        (disk.fail_from if dies else disk.fail_at)(number, code)
        before, error = _descriptors(), None
        try:
            writer.write(path, disk)
        except (OSError, ConfigInvalid) as exc:
            error = str(exc)
        if len(disk.steps) < number:
            return
        yield Found(
            step=disk.steps[number - 1],
            error=error,
            content=path.read_bytes() if path.exists() else None,
            left_over=tuple(each.name for each in folder.iterdir() if each.name.startswith(PREFIX)),
            descriptors=_descriptors() - before,
        )


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))  # noqa: PTH112, PTH208 - the latter has no Path


def what_it_promises(writer: Writer, found: Found, *, dies: bool = False) -> list[str]:
    """Return which promises *found* breaks."""
    broken = []
    if found.content not in (writer.before, writer.after):
        broken.append(f"a part of a file: {found.content!r}")
    if found.error is None and found.content != writer.after:
        broken.append("it was said to be written, and is not")
    if found.error is not None and found.content != writer.before:
        broken.append("it was said to have failed, and is written")
    if found.left_over and not dies:  # what is dead cannot be tidied up
        broken.append(f"left over: {found.left_over}")
    if found.descriptors:
        broken.append(f"{found.descriptors} descriptors stay open")
    return broken
