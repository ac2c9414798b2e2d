"""Puts files where a service manager reads them, and never over what a person wrote."""

import errno
import os
import shlex
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path

from msgspec import Struct

from devsynthctl.service.errors import EditedFile, ServiceError
from devsynthctl.service.marks import State, difference, is_ours, judged
from devsynthctl.service.reports import FileChange
from devsynthd.host.disk import DISK
from devsynthd.host.folders import folder_fault, told_of_fault

_MODE = 0o644  # service managers read them; there is no secret in them


class Planned(Struct, frozen=True):
    """A file with the text that it has (null: it is not there) and the one that it should have."""

    path: Path
    content: str | None
    wanted: str
    state: State


def plan(wanted: Mapping[Path, str]) -> list[Planned]:
    """Look at each file, and say how it is.

    Raises:
        ServiceError: One cannot be read.
    """
    planned = []
    for path, text in wanted.items():
        content = read(path)
        state = judged(content, text)
        if state == "outdated" and path.is_symlink():  # somebody keeps it elsewhere
            state = "edited"
        planned.append(Planned(path, content, text, state))
    return planned


def refuse_edited(planned: list[Planned], drop_in_command: str) -> None:
    """Make sure that no file was edited by a person, who could do so by *drop_in_command* too.

    Raises:
        EditedFile: One was.
    """
    edited = [each for each in planned if each.state == "edited"]
    if not edited:
        return
    diff = "".join(difference(e.path.name, e.content or "", e.wanted) for e in edited)
    names = ", ".join(str(each.path) for each in edited)
    raise EditedFile(
        f"{names} is not as `devsynthctl service install` wrote it; nothing was changed. "
        f"This would be:\n{diff}",
        hint=f"put your changes elsewhere: {drop_in_command}; "
        "then install with --force, which keeps the file as ....orig",
        details={"diff": diff},
    )


def refuse_foreign(paths: Iterable[Path]) -> None:
    """Make sure that no file at *paths* was edited by a person since it was written.

    Raises:
        EditedFile: One was.
    """
    foreign = [
        str(path)
        for path in paths
        if (content := read(path)) is not None and not _is_ours(path, content)
    ]
    if foreign:
        raise EditedFile(
            f"{', '.join(foreign)} is not as `devsynthctl service install` wrote it; nothing was "
            "changed",
            hint="devsynthctl service uninstall --force, which keeps the file as ....orig",
        )


def refuse_open_folder(folder: Path) -> None:
    """Make sure that this user's daemon would listen in *folder*, if that is there.

    Raises:
        ServiceError: Others may write in it, for which the daemon refuses it.
    """
    try:
        info = folder.stat()
    except OSError:
        return  # systemd makes it, for this user alone
    if fault := folder_fault(info.st_uid, info.st_mode, os.geteuid()):
        said = told_of_fault(folder, info.st_uid, info.st_mode, fault)
        other = "choose another with --socket, in a folder of its own"
        raise ServiceError(
            f"the daemon would not listen there: {said}; nothing was changed",
            hint=f"chmod go-w {shlex.quote(str(folder))}" if fault == "open" else other,
        )


def place(planned: Planned) -> FileChange:
    """Write the file as wanted; one that was edited is kept beside it.

    Raises:
        ServiceError: It cannot be written.
    """
    path, before = planned.path, planned.content
    if planned.state == "current":
        return FileChange(path=str(path), change="unchanged")
    diff = difference(path.name, before or "", planned.wanted) if before is not None else ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        original = _write(path, planned.wanted, keeps=planned.state == "edited")
    except OSError as exc:
        is_full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
        raise ServiceError(
            f"cannot write {path}: {exc.strerror}",
            hint="make room on its disk" if is_full else "make its folder writable for this user",
        ) from exc
    if original is not None:
        return FileChange(path=str(path), change="replaced", diff=diff, original=str(original))
    return FileChange(path=str(path), change="written" if before is None else "updated", diff=diff)


def take_away(path: Path, *, force: bool) -> FileChange | None:
    """Remove a file of ours, and its folder if that is for drop-ins and empty; null: none is there.

    One that a person has edited is kept, or with *force* set aside.

    Raises:
        ServiceError: It cannot be removed.
    """
    content = read(path)
    if content is None:
        return None
    original = None
    try:
        if _is_ours(path, content):
            path.unlink()
        elif force:
            original = _set_aside(path)
        else:
            return FileChange(path=str(path), change="kept")
        if path.parent.suffix == ".d":
            with suppress(OSError):  # a person's drop-ins are in there too
                path.parent.rmdir()
    except OSError as exc:
        raise ServiceError(
            f"cannot remove {path}: {exc.strerror}", hint="remove it by hand"
        ) from exc
    return FileChange(
        path=str(path), change="removed", original=None if original is None else str(original)
    )


def originals_of(paths: Iterable[Path]) -> list[str]:
    """Return the files of a person that were set aside for one at *paths*."""
    found = (path.parent.glob(f"{path.name}.orig*") for path in paths)
    return [str(each) for some in found for each in sorted(some)]


def read(path: Path) -> str | None:
    """Return the text of *path*; null if it is not there, bytes that are no text as escapes.

    Raises:
        ServiceError: It cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8", errors="backslashreplace")
    except (FileNotFoundError, NotADirectoryError):
        # A link that leads nowhere is a person's.
        return "" if path.is_symlink() else None
    except OSError as exc:
        raise ServiceError(f"cannot read {path}: {exc.strerror}", hint="is it yours?") from exc


def _is_ours(path: Path, content: str) -> bool:
    return is_ours(content) and not path.is_symlink()


def _set_aside(path: Path) -> Path:
    """Rename *path*, and return its new name: the first that is free."""
    for n in count(1):
        aside = path.with_name(f"{path.name}.orig{n if n > 1 else ''}")
        if not os.path.lexists(aside):
            break
    path.rename(aside)
    return aside


def _write(path: Path, text: str, *, keeps: bool) -> Path | None:
    """Write the whole file, or none of it; if it *keeps* the old one, return where that is now."""
    original = None

    def make_way() -> bool:  # not before all is written
        nonlocal original
        original = _set_aside(path) if keeps else None
        return True

    DISK.replace(path, text.encode(), finish=lambda fd: os.fchmod(fd, _MODE), may=make_way)
    return original
