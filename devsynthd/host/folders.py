"""Folders for what is nobody else's business."""

from pathlib import Path

PRIVATE = 0o700


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
