"""Notices that the config file has changed, in whatever way it was saved."""

import asyncio
import errno
import logging
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from watchfiles import awatch

logger = logging.getLogger(__name__)

STEP_MS = 50
"""How often the system's news are looked at; a change is told when a step passed without more."""

GATHER_MS = 100
"""The longest that changes which come one after the other are gathered."""

TICK_S = 5.0
"""The file is looked at this often in any case: no system tells of changes on a network drive."""

MAX_LINKS = 40

Folders = dict[Path, tuple[int, int]]
"""Folders, each with device and inode: one that was moved away and made anew is another one."""


def folders_to_watch(path: Path) -> Folders:
    """Return the folders in which a change can change what *path*, an absolute path, leads to.

    Those are the folder of the file and of every symlink on the way: Kubernetes and Nix swap a
    link, and nothing happens beside the file. Where something is missing, it is the folder in
    which that would appear.
    """
    found: Folders = {}
    todo, here, links = list(reversed(path.parts[1:])), Path(path.anchor), 0
    while todo:
        name = todo.pop()
        if name == "..":
            here = here.parent
            continue
        step = here / name
        try:
            target = step.readlink()
        except OSError as exc:
            is_there = exc.errno == errno.EINVAL  # it is no link
            if not todo or not is_there:
                _add(found, here)
            if not is_there:
                break
            here = step
            continue
        _add(found, here)
        links += 1
        if links > MAX_LINKS:
            break
        if target.is_absolute():
            here = Path(target.anchor)
        todo.extend(reversed([part for part in target.parts if part != target.anchor]))
    return found


def _add(found: Folders, folder: Path) -> None:
    try:
        info = os.stat(folder)  # noqa: PTH116 - a short way to two numbers
    except OSError:
        return
    found[folder] = (info.st_dev, info.st_ino)


async def watch(path: Path, look: Callable[[], Awaitable[None]], *, tick_s: float = TICK_S) -> None:
    """Await *look* at once and whenever *path* may have changed, until cancelled.

    That is after every change in its folders, and every *tick_s* seconds. Where the system cannot
    watch, only the latter.
    """
    complained = False
    while True:
        folders = folders_to_watch(path)
        try:
            await _watch(path, folders, look, tick_s)
        except (OSError, RuntimeError, ValueError) as exc:  # the last: a name that is not UTF-8
            if folders_to_watch(path) != folders:
                continue  # one had just gone
            if not complained:
                logger.warning(
                    "cannot watch %s (%s): it is looked at every %g s instead", path, exc, tick_s
                )
            complained = True
            await look()
            await asyncio.sleep(tick_s)


async def _watch(
    path: Path, folders: Folders, look: Callable[[], Awaitable[None]], tick_s: float
) -> None:
    """Do so until other folders are to be watched."""
    news = awatch(
        *folders,
        watch_filter=None,  # no name may be left out: swapped links tell none that we know
        debounce=GATHER_MS,
        step=STEP_MS,
        rust_timeout=round(tick_s * 1000),
        yield_on_timeout=True,
        recursive=False,
    )
    try:
        while True:
            # It watches from its first step on, and what was changed before that is seen by a look.
            coming = asyncio.ensure_future(anext(news))
            try:
                await asyncio.sleep(0)
                if folders_to_watch(path) != folders:
                    return
                await look()
                await coming
            finally:
                coming.cancel()
                await asyncio.wait({coming})
    finally:
        await news.aclose()
