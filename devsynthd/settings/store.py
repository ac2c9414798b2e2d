"""The config file at the edge: written whole or not at all, whoever else writes it."""

import errno
import fcntl
import os
import random
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from devsynthd.host.disk import DISK, Disk
from devsynthd.host.folders import make_private_folder
from devsynthd.settings.edits import edited
from devsynthd.settings.file import MAX_FILE_BYTES, SETTLE_S, read_file
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value
from devsynthd.wire.text import named

_ACL = "system.posix_acl_access"

LOCK_S = 5.0
"""The longest wait for another writer."""

POLL_S = (0.002, 0.02)
"""The shortest and the longest pause between two tries to get the lock."""

MAX_TRIES = 5
"""How often a change is made again because an editor, which knows no lock, came first."""

Decide = Callable[[bytes | None], bytes | None]
"""Takes what the file holds (null: there is none), returns what it is to hold (null: the same)."""

_NO_ROOM = "make room on its disk; the file is as it was"
_NO_RIGHT = "`ls -la` on its folder shows who may write there"
_HINTS = {
    errno.EACCES: _NO_RIGHT,
    errno.EPERM: _NO_RIGHT,
    errno.EAGAIN: "close it there, or try again",
    errno.EBUSY: "was it mounted by itself? Mount its folder, so that the file can be replaced",
    errno.EDQUOT: _NO_ROOM,
    errno.EFBIG: _NO_ROOM,
    errno.EILSEQ: "save it as UTF-8 in an editor",
    errno.ENOSPC: _NO_ROOM,
    # For a service all is read-only but what its units name; it may have been a file of its own.
    errno.EROFS: "is the daemon a service? `devsynthctl service install` lets its sandbox write "
    "there; else its disk is mounted read-only",
    errno.ETIMEDOUT: "try again; on Linux, `lslocks` shows who that is",
}
_HINT = "it is as it was; DEVSYNTH_CONFIG names another file"


def edit_file(
    path: Path,
    edits: Mapping[str, Value | None],
    approve: Callable[[bytes], None],
    *,
    lock_s: float = LOCK_S,
    settle_s: float = SETTLE_S,
    disk: Disk = DISK,
) -> bytes:
    """Set and (null) unset *edits*, checked values by key, in the file; return what it holds now.

    Comments and layout stay. *approve* is shown each new content before it is written, also one
    that is the old one, and raises to keep the file as it is. Nothing is touched where nothing
    changes.

    Args:
        path: The file; it need not be there, nor its folder. A symlink stays, its target changes.
        edits: As ``edits.edited`` takes them.
        approve: May raise ConfigInvalid. Called again if somebody else changes the file meanwhile.
        lock_s: How long to wait for other writers, in seconds.
        settle_s: How long an empty file has to be filled: so editors begin to save.
        disk: Where it is.

    Raises:
        ConfigInvalid: The file cannot be edited or written, or *approve* says no.
    """

    def decide(old: bytes | None) -> bytes | None:
        before = old or b""
        try:
            text = before.decode()
        except UnicodeDecodeError as exc:
            line = before.count(b"\n", 0, exc.start) + 1
            raise OSError(errno.EILSEQ, f"its line {line} is not UTF-8 text") from exc
        new = edited(text, edits, named(path)).encode()
        approve(new)
        return None if new == before else new

    return _rewrite(path, decide, disk, lock_s, settle_s) or b""


def replace_file(
    path: Path,
    content: bytes,
    *,
    expected: bytes | None,
    lock_s: float = LOCK_S,
    disk: Disk = DISK,
) -> None:
    """Have *content* in the file, if what it holds is still *expected*; null: there is no file.

    Nothing is touched where it holds *content* already. The rest as for ``edit_file``.

    Raises:
        ConfigInvalid: It holds something else by now, or it cannot be written.
    """

    def decide(old: bytes | None) -> bytes | None:
        if old == content:
            return None
        if old != expected:
            raise ConfigInvalid(
                f"{named(path)} was changed by somebody else meanwhile: it stays as they left it",
                hint="look at it, and make your change again",
            )
        return content

    _rewrite(path, decide, disk, lock_s, SETTLE_S)


def _rewrite(
    path: Path, decide: Decide, disk: Disk, lock_s: float, settle_s: float
) -> bytes | None:
    """Have in the file what *decide* makes of its content, and return that."""
    with _reasons(path):
        target = Path(os.path.realpath(path))
        # The first time without the lock: what is refused leaves no trace, not even a new folder.
        old = _read_settled(target, disk, settle_s)
        new = decide(old)
        if new is None:
            return old
        make_private_folder(target.parent)
        with _locked(target.parent, lock_s) as folder:
            for _ in range(MAX_TRIES):
                now = _read_settled(target, disk, settle_s)
                if now != old:
                    old, new = now, decide(now)
                if new is None:
                    return old
                if _replace(target, disk, old, new):
                    with suppress(OSError):  # the new file is in place, all the same
                        disk.sync(folder)
                    return new
        raise OSError(errno.EAGAIN, "somebody else keeps changing it")


@contextmanager
def _reasons(path: Path) -> Iterator[None]:
    """Tell as a ConfigInvalid why *path* could not be written."""
    try:
        yield
    except OSError as exc:
        raise ConfigInvalid(
            f"{named(path)} cannot be written: {exc.strerror or exc}",
            hint=_HINTS.get(exc.errno or 0, _HINT),
        ) from exc


def _read(target: Path, disk: Disk) -> bytes | None:
    """Return what *target* holds, which must be a file if it is there at all: /dev/null is none."""
    if target.exists() and not target.is_file():
        raise OSError("it is not a regular file")
    return read_file(target, disk)


def _read_settled(target: Path, disk: Disk, settle_s: float) -> bytes | None:
    """Return the same; an empty file has *settle_s* seconds to be filled."""
    data = _read(target, disk)
    if data == b"":
        time.sleep(settle_s)
        data = _read(target, disk)
    return data


@contextmanager
def _locked(folder: Path, lock_s: float) -> Iterator[int]:
    """Keep other writers out of *folder*; yield its descriptor.

    It is the folder that is locked, since the file is another one after each change.
    """
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + lock_s
        while not try_lock(fd):
            if time.monotonic() >= deadline:
                raise OSError(errno.ETIMEDOUT, f"somebody else keeps {named(folder)} locked")
            time.sleep(random.uniform(*POLL_S))  # noqa: S311 - spreads the tries, guards nothing
        yield fd
    finally:
        with suppress(OSError):  # closing alone would not do, had a fork made a copy meanwhile
            fcntl.flock(fd, fcntl.LOCK_UN)
        os.close(fd)


def try_lock(fd: int) -> bool:
    """Return false if somebody else has the lock of *fd*; true also where there are no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        # NFS says EBADF to the lock of a folder, others ENOLCK, ENOTSUP, ENOSYS or EINVAL. Their
        # users still have the look that is taken right before the rename.
        return True
    return True


def _replace(target: Path, disk: Disk, old: bytes | None, new: bytes) -> bool:
    """Put *new* in the place of *target*; return false if that does not hold *old* any more."""
    if len(new) > MAX_FILE_BYTES:
        raise OSError(f"it would be bigger than {MAX_FILE_BYTES} bytes")
    status = target.stat() if target.exists() else None
    if os.statvfs(target.parent).f_flag & os.ST_RDONLY:
        raise OSError(errno.EROFS, "it is in a file system that is read-only here")
    if status and not os.access(target, os.W_OK):  # the rename would not mind
        raise OSError(errno.EACCES, "it is read-only for this user")

    def finish(fd: int) -> None:
        if status:
            _keep_rights(fd, target, status)

    return disk.replace(target, new, finish=finish, may=lambda: _read(target, disk) == old)


def _keep_rights(fd: int, target: Path, status: os.stat_result) -> None:
    """Give the file *fd* the owner and the rights of *target*, or fewer where this user may not."""
    mode = stat.S_IMODE(status.st_mode)
    try:
        os.fchown(fd, -1, status.st_gid)
        _copy_acl(fd, target)
    except OSError:
        # Meant for another group, or narrowed by the list: this one has no more than all others.
        mode &= ~stat.S_IRWXG | (mode & stat.S_IRWXO) << 3
    with suppress(OSError):
        os.fchown(fd, status.st_uid, -1)
    os.fchmod(fd, mode)


def _copy_acl(fd: int, target: Path) -> None:
    """Give the file *fd* the access control list of *target*, if that has one (Linux).

    Raises:
        OSError: It cannot have it.
    """
    if sys.platform != "linux":
        return
    try:
        acl = os.getxattr(target, _ACL)
    except OSError:  # it has none, or the file system knows none
        return
    os.setxattr(fd, _ACL, acl)
