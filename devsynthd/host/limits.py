"""What the operating system grants to this process, and what it uses."""

import math
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

_MACOS_OPEN_MAX = 10240  # the most that macOS takes, whatever hard limit it reports


def raise_descriptor_limit() -> tuple[int, int]:
    """Raise the soft limit of open files to the hard one; return it as it was and as it is.

    Running out of descriptors aborts a process with a listening ZeroMQ socket. A limit that cannot
    be raised stays.
    """
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (hard, _MACOS_OPEN_MAX):
        if not _height(before) < _height(wanted) <= _height(hard):
            continue
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
            break
    return before, resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def resident_bytes() -> int | None:
    """Return the memory that this process has resident now; on macOS the most it ever had."""
    if sys.platform == "darwin":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


def _height(limit: int) -> float:
    return math.inf if limit == resource.RLIM_INFINITY else limit
