"""Folders for what is nobody else's business."""

import stat
from pathlib import Path
from typing import Literal

PRIVATE = 0o700

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH

FolderFault = Literal["foreign", "shared", "open"]
"""Somebody else's; open to all on purpose, such as /tmp; open to others by mistake."""


def folder_fault(owner: int, mode: int, uid: int) -> FolderFault | None:
    """Return why a folder of *owner* is no place for a socket of *uid*; null: it is one."""
    if owner != uid:
        return "foreign"
    if mode & _WRITABLE_BY_OTHERS:
        return "shared" if mode & stat.S_ISVTX else "open"
    return None


def told_of_fault(folder: Path, owner: int, mode: int, fault: FolderFault) -> str:
    """Return in words what is wrong with the *folder* of a socket."""
    if fault == "foreign":
        return f"the socket's directory {folder} belongs to uid {owner}, not to you"
    return f"others may write to the socket's directory {folder} (mode {stat.S_IMODE(mode):04o})"


def make_private_folder(folder: Path) -> None:
    """Make *folder* and those above it, for this user only, whatever the umask is.

    Those that are there stay as they are. Not by ``parents=True``, which leaves the ones above to
    the umask.

    Raises:
        OSError: It cannot be made.
    """
    if folder.is_dir():
        return
    make_private_folder(folder.parent)
    try:
        folder.mkdir(mode=PRIVATE)
    except FileExistsError:  # somebody else was faster, or it is no folder: whoever uses it sees
        return
    folder.chmod(PRIVATE)  # a umask may even take away what its owner needs
