"""The file that a report is written to: new, and its user's alone."""

import errno
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from devsynthctl.errors import ClientError
from devsynthd.wire.text import named

Write = Callable[[str], object]

STDOUT = "-"


@contextmanager
def report_file(name: str) -> Iterator[Write]:
    """Give the block what writes the report to *name*, which must not be there yet.

    It is made before the block, so that nobody waits in vain; a block that fails leaves none.

    Raises:
        ClientError: It cannot be made, or written to.
    """
    if name == STDOUT:
        yield sys.stdout.write
        return
    path = Path(name)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise _unwritable(path, exc) from exc

    def write(text: str) -> None:
        left = memoryview(text.encode(errors="backslashreplace"))
        try:
            while left:
                left = left[os.write(descriptor, left) :]
        except OSError as exc:
            raise _unwritable(path, exc) from exc

    try:
        yield write
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _unwritable(path: Path, exc: OSError) -> ClientError:
    is_full = exc.errno in (errno.ENOSPC, errno.EDQUOT)
    room = "make room on its disk, or name a file on another one"
    new = "name a new file in a folder of yours"
    return ClientError(
        f"the report {named(path)} cannot be written: {exc.strerror or exc}",
        hint=f"{room if is_full else new}: devsynthctl doctor --report FILE",
    )
