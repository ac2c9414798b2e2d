"""Shows a log file that rotates: its last lines, and those that come."""

import os
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from devsynthctl.service.errors import ServiceError
from devsynthd.host.log_file import FILES

_LOOK_S = 0.25


def show_file(
    path: Path,
    write: Callable[[str], None],
    *,
    lines: int,
    follow: bool,
    sleep: Callable[[float], None],
) -> None:
    """Write the last *lines* of *path* and of its older parts; with *follow* go on for ever.

    Raises:
        ServiceError: There is no such file, or it cannot be read.
    """
    try:
        with path.open("rb") as file:
            for line in _last(path, file, lines):
                write(_text(line))
            if follow:
                _follow(path, file, write, sleep)
    except FileNotFoundError as exc:
        raise ServiceError(
            f"there is no log at {path}", hint="has the service ever run? devsynthctl service start"
        ) from exc
    except PermissionError as exc:
        raise ServiceError(f"cannot read {path}: {exc.strerror}", hint="is it yours?") from exc


def _last(path: Path, file: BinaryIO, lines: int) -> list[bytes]:
    """Return the last *lines*, and leave *file*, the newest part, at its end."""
    kept: deque[bytes] = deque(file, maxlen=lines)
    for number in range(1, FILES):
        if len(kept) >= lines:
            break
        older = path.with_name(f"{path.name}.{number}")
        if not older.is_file():
            break
        with older.open("rb") as part:
            missing = deque(part, maxlen=lines - len(kept))
        kept.extendleft(reversed(missing))
    return list(kept)


def _follow(
    path: Path, file: BinaryIO, write: Callable[[str], None], sleep: Callable[[float], None]
) -> None:
    """Write what is added to *file*, and then to the one that takes its place."""
    current, begun = file, b""
    try:
        while True:
            # Asked before it is read to its end: what it got until then is not missed.
            moved = _is_another(path, current)
            while line := current.readline():
                begun += line
                if line.endswith(b"\n"):
                    write(_text(begun))
                    begun = b""
            if moved:
                newer = path.open("rb")
                current.close()
                current = newer
            else:
                sleep(_LOOK_S)
    finally:
        current.close()


def _is_another(path: Path, file: BinaryIO) -> bool:
    """Return whether *path* is another file than *file* by now; false if there is none."""
    try:
        return not os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False


def _text(line: bytes) -> str:
    return line.decode(errors="backslashreplace")
