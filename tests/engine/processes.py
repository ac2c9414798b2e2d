"""Watching processes that are not our children."""

import os
import select
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

LIMIT_S = 10.0

needs_pidfd = pytest.mark.skipif(
    not hasattr(os, "pidfd_open"), reason="only Linux tells of the end of somebody else's child"
)


@contextmanager
def watched(pid: int) -> Iterator[Callable[[], bool]]:
    """Yield a function that waits for the end of the process *pid*: false if it lives on."""
    process_fd = os.pidfd_open(pid)
    try:
        yield lambda: bool(select.select([process_fd], [], [], LIMIT_S)[0])
    finally:
        os.close(process_fd)


def child_of(pid: int) -> int:
    """Return the only child of the process *pid* (Linux)."""
    threads = Path(f"/proc/{pid}/task").iterdir()
    (child,) = (
        int(each) for thread in threads for each in (thread / "children").read_text().split()
    )
    return child


def resident_bytes(pid: int) -> int:
    """Return the memory that the process *pid* has resident now (Linux)."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
