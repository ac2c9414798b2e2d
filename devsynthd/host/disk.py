"""Files read and written whole, a step at a time: whoever wants to see a step fail hands one in."""

import os
import stat
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PREFIX = ".devsynth-"
"""How the names of files begin that are not whole yet."""

ABANDONED_S = 60.0
"""How old one of those is that nobody will ever finish: its process was killed over it."""


class Disk:
    """What is done to files: every method but ``replace`` is one step, and raises OSError."""

    def read(self, path: Path, max_bytes: int) -> bytes:
        """Return what is in the file *path*; it may not have more than *max_bytes*."""
        with open(path, "rb", opener=_open_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISCHR(mode)):  # /dev/null is an empty file
                raise OSError("it is a pipe, not a file")
            data = file.read(max_bytes + 1) or b""  # null: a device that has nothing yet
        if len(data) > max_bytes:
            raise OSError(f"it is bigger than {max_bytes} bytes")
        return data

    def open(self, path: Path, flags: int) -> int:
        """Return a descriptor of *path*; a file that it makes is for its owner alone."""
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def make_beside(self, path: Path) -> tuple[int, Path]:
        """Make an empty file for its owner alone in the folder of *path*; return both names."""
        descriptor, name = tempfile.mkstemp(prefix=PREFIX, dir=path.parent)
        return descriptor, Path(name)

    def write(self, descriptor: int, data: bytes) -> None:
        """Write all of *data*; if that fails a part of it may be there."""
        left = memoryview(data)
        while left:
            left = left[os.write(descriptor, left) :]

    def sync(self, descriptor: int) -> None:
        """Have what was written survive a loss of power."""
        os.fsync(descriptor)

    def rename(self, path: Path, target: Path) -> None:
        """Put *path* in the place of *target*, in one step."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove *path*."""
        path.unlink()

    def replace(
        self,
        target: Path,
        content: bytes,
        *,
        finish: Callable[[int], None] = lambda _: None,
        may: Callable[[], bool] = lambda: True,
        durable: bool = True,
    ) -> bool:
        """Have *content* in the file *target*, all of it, or whatever happens what it had before.

        What processes that were killed over that have left in its folder goes.

        Args:
            target: The file; if it is a symlink, that is replaced.
            content: What it is to hold.
            finish: Given the descriptor of the new file, which is for its owner alone, before that
                takes its place.
            may: Asked right before that; false: it stays as it is.
            durable: Whether it is worth the wait for the disk, so that it survives a loss of power.

        Returns:
            Whether it was replaced.

        Raises:
            OSError: A step has failed.
        """
        remove_abandoned(target.parent)
        descriptor, temporary = self.make_beside(target)
        try:
            try:
                os.fchmod(descriptor, 0o600)  # a umask may take away even what its owner needs
                self.write(descriptor, content)
                finish(descriptor)
                if durable:
                    self.sync(descriptor)
            finally:
                os.close(descriptor)
            if not may():
                return False
            self.rename(temporary, target)
        finally:
            with suppress(OSError):  # as a rule it is gone: it is the target now
                self.remove(temporary)
        return True


DISK = Disk()
"""The disk as it is."""


def remove_abandoned(folder: Path) -> None:
    """Remove the files in *folder* that were to take the place of others, and never will."""
    with suppress(OSError):
        for path in folder.glob(f"{PREFIX}*"):
            with suppress(OSError):  # it is whole by now, and has its own name
                if time.time() - path.lstat().st_mtime > ABANDONED_S:
                    path.unlink()


def _open_at_once(path: str, flags: int) -> int:
    """Open *path* without waiting: a pipe that nobody writes to would stop the daemon's start."""
    return os.open(path, flags | os.O_NONBLOCK)
