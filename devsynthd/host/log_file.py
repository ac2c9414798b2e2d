"""The log's own file, which rotates itself: launchd keeps what a daemon says, and for ever."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from devsynthd.host.disk import DISK, Disk
from devsynthd.host.folders import make_private_folder
from devsynthd.host.log_event import Event
from devsynthd.host.paths import log_dir
from devsynthd.host.service_names import LAUNCHD_LABEL

MAX_BYTES = 5_000_000
FILES = 3


def is_under_launchd(environ: Mapping[str, str]) -> bool:
    """Return whether launchd has started this process as the daemon."""
    return environ.get("XPC_SERVICE_NAME") == LAUNCHD_LABEL


def log_file() -> Path:
    """Return where the daemon logs to under launchd; older lines are in ``.1`` and ``.2``.

    On macOS ``~/Library/Logs/devsynth/devsynthd.log``.

    Raises:
        ConfigInvalid: There is no home directory.
    """
    return log_dir() / "devsynthd.log"


class RotatingFile:
    """Writes events to *path*, in the form that *show* gives them; none but its user may read them.

    A file that would get longer than *max_bytes* becomes ``.1``, that ``.2``, and so on: *files* in
    all. One that somebody has moved or removed is begun anew.
    """

    def __init__(
        self,
        path: Path,
        show: Callable[[Event], str],
        *,
        max_bytes: int = MAX_BYTES,
        files: int = FILES,
        disk: Disk = DISK,
    ) -> None:
        self.name = f"the log file {path}"
        self._path, self._show = path, show
        self._max_bytes, self._files, self._disk = max_bytes, files, disk
        self._descriptor: int | None = None

    def write(self, event: Event) -> None:
        """Write *event*, all of it or nothing.

        Raises:
            OSError: The disk is full, or the folder cannot be written to.
        """
        data = f"{self._show(event)}\n".encode(errors="backslashreplace")
        descriptor = self._open()
        size = os.fstat(descriptor).st_size
        if size and size + len(data) > self._max_bytes:
            self._rotate()
            descriptor, size = self._open(), 0
        try:
            self._disk.write(descriptor, data)
        except OSError:
            with suppress(OSError):
                os.ftruncate(descriptor, size)
            raise

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> int:
        """Return a descriptor of the file that is at the path now."""
        if self._descriptor is not None and not self._is_there(self._descriptor):
            self.close()
        if self._descriptor is None:
            make_private_folder(self._path.parent)
            # A link would have another file written to, and a pipe could hold up the daemon.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK
            self._descriptor = self._disk.open(self._path, flags)
            os.fchmod(self._descriptor, 0o600)  # it may be older than this rule, or the umask odd
        return self._descriptor

    def _is_there(self, descriptor: int) -> bool:
        with suppress(OSError):
            return os.path.samestat(self._path.lstat(), os.fstat(descriptor))
        return False

    def _rotate(self) -> None:
        self.close()
        for number in range(self._files - 1, 0, -1):
            with suppress(FileNotFoundError):
                self._disk.rename(self._numbered(number - 1), self._numbered(number))

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}") if number else self._path
