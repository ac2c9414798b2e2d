"""What was entered before, in a file that only its user can read."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from devsynthd.host.disk import DISK, Disk

MAX_ENTRIES = 1000
"""How many entries are kept, the newest ones."""

MAX_ENTRY_CHARACTERS = 100_000
"""A longer entry, a pasted file perhaps, is not kept."""


def history_path() -> Path:
    """Return where the history is, whether or not it is there; relative if there is no home."""
    import platformdirs  # noqa: PLC0415 - slow, and not needed in a pipe

    folder = Path("~")
    with suppress(RuntimeError):  # there is no home; older versions leave the ~ in place instead
        folder = platformdirs.user_state_path("devsynth", appauthor=False)
    # A folder of its own: on some platforms that one is the config file's too.
    return folder / "chat" / "history.jsonl"


class History:
    """The entries in the file *path*, the newest last: each a JSON string on a line of its own.

    Several programs may use it at once: each sees what the others entered before it started.
    """

    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self._path, self._disk = path, disk

    def entries(self) -> list[str]:
        """Return the entries; lines that are none are skipped.

        Raises:
            OSError: The file is there but cannot be read.
        """
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        return [entry for entry in map(_entry, lines) if entry][-MAX_ENTRIES:]

    def add(self, entry: str) -> None:
        """Append *entry*, unless it is blank, too long, or the newest one already.

        Raises:
            OSError: It cannot be written.
        """
        if not entry.strip() or len(entry) > MAX_ENTRY_CHARACTERS:
            return
        if not self._path.is_absolute():
            raise FileNotFoundError("this user has no home directory")
        folder = self._path.parent
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = self.entries()
            if entries[-1:] != [entry]:
                kept = [*entries, entry][-MAX_ENTRIES:]
                self._disk.replace(self._path, b"".join(map(_line, kept)), durable=False)
        finally:
            os.close(lock)


def _line(entry: str) -> bytes:
    # What was typed in another encoding than UTF-8 has surrogates.
    return msgspec.json.encode(entry.encode(errors="replace").decode()) + b"\n"


def _entry(line: bytes) -> str:
    try:
        return msgspec.json.decode(line, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""
