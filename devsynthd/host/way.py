"""Who else could put another folder in the place of one: the folders on the way to it."""

import errno
import os
import stat
from collections.abc import Set as AbstractSet
from pathlib import Path

MAX_LINKS = 40  # as Linux has it

_UID_MAP, _OVERFLOW_UID = Path("/proc/self/uid_map"), Path("/proc/sys/kernel/overflowuid")


def trusted_owners(
    uid: int, *, uid_map: Path = _UID_MAP, overflow_uid: Path = _OVERFLOW_UID
) -> frozenset[int]:
    """Return whose folders may be on the way to one of *uid*: root's and its own.

    In the sandbox of a service root may have no uid, and owns all that seems to be nobody's.
    """
    try:
        nobody = int(overflow_uid.read_text("ascii"))
        is_known = _is_mapped(nobody, uid_map.read_text("ascii"))
    except (OSError, ValueError):
        is_known, nobody = True, 0
    return frozenset({0, uid} if is_known else {0, uid, nobody})


def way_fault(folder: Path, trusted: AbstractSet[int]) -> str | None:
    """Return in words who but *trusted* could put another folder at *folder*, an absolute path.

    Null: nobody. The folder itself is not looked at. A group that may write to one on the way is
    taken for the user's own, which it is on most systems.

    Raises:
        OSError: It cannot be seen.
    """
    at, left, links = Path("/"), list(folder.parts[:0:-1]), 0
    while left:
        name = left.pop()
        if name == "..":
            at = at.parent  # it follows no link: *at* has none
            continue
        if fault := _folder_fault(at, at.lstat(), trusted):
            return fault
        entry = at / name
        info = entry.lstat()
        if not stat.S_ISLNK(info.st_mode):
            at = entry
            continue
        if info.st_uid not in trusted:
            return f"{entry} on the way to it is a symbolic link that belongs to uid {info.st_uid}"
        links += 1
        if links > MAX_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        target = entry.readlink()
        at = Path("/") if target.is_absolute() else at
        left.extend(part for part in reversed(target.parts) if part != "/")
    return None


def _folder_fault(folder: Path, info: os.stat_result, trusted: AbstractSet[int]) -> str | None:
    if info.st_uid not in trusted:
        return f"{folder} on the way to it belongs to uid {info.st_uid}"
    if info.st_mode & stat.S_IWOTH and not info.st_mode & stat.S_ISVTX:
        return f"everybody may write to {folder} on the way to it (run: chmod o-w {folder})"
    return None


def _is_mapped(uid: int, uid_map: str) -> bool:
    """Return whether *uid* is one by *uid_map*; its lines are first uid, its uid outside, count."""
    lines = [[int(word) for word in line.split()] for line in uid_map.splitlines()]
    return any(first <= uid < first + count for first, _, count in lines)
