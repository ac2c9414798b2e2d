"""What the operating system grants to this process, and what it uses."""

import ctypes
import errno
import math
import os
import resource
import sys
from contextlib import suppress
from pathlib import Path

from devsynthd.wire.errors import ConfigInvalid

# Of malloc.h: M_TRIM_THRESHOLD and M_MMAP_THRESHOLD, in bytes, and M_ARENA_MAX. The interpreter's
# lock lets one thread at a time allocate: more arenas would only be more places to keep memory in.
_MALLOC_LIMITS = ((-1, 128 * 1024), (-3, 64 * 1024), (-8, 1))
_MACOS_OPEN_MAX = 10240  # the most that macOS takes, whatever hard limit it reports

MIN_DESCRIPTORS = 64
"""With fewer not even a few clients and generations would have theirs; idle, it has two dozen."""

FEW_DESCRIPTORS = 256
"""With fewer, what some busy scripts open could be too much."""

SHORTAGES = frozenset({errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM})
"""What the system says when it has no file, process, thread or memory left to give."""

SHORTAGE_HINT = (
    "it may pass; else raise the daemon's limits of open files, processes and memory (`ulimit -a`, "
    "or LimitNOFILE=, TasksMax= and MemoryMax= in its unit)"
)


def shortage(exc: BaseException) -> str | None:
    """Return in words what the machine had too little of, if *exc* says that."""
    if isinstance(exc, MemoryError):
        return os.strerror(errno.ENOMEM)
    if isinstance(exc, OSError) and exc.errno in SHORTAGES:
        return exc.strerror or os.strerror(exc.errno or 0)
    if isinstance(exc, ImportError) and not isinstance(exc, ModuleNotFoundError):
        return "a part of the daemon cannot be loaded"  # one that is loaded when it is needed
    return None


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


def keep_no_core() -> None:
    """Have no core written if this process, or a child of it, crashes.

    It would hold prompts, answers and the API key. Whoever looks for a crash can raise the limit
    again: `prlimit --core=unlimited --pid PID`.
    """
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    resource.setrlimit(resource.RLIMIT_CORE, (0, hard))


def check_descriptor_limit() -> str | None:
    """Return a warning if few files may be open at a time, by the hard limit.

    Raises:
        ConfigInvalid: They are so few that libzmq would soon end the process.
    """
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if _height(hard) < MIN_DESCRIPTORS:
        raise ConfigInvalid(
            f"only {hard} files may be open at a time, devsynthd needs {MIN_DESCRIPTORS}",
            hint="raise the limit: `ulimit -Hn` shows it; in a systemd unit it is LimitNOFILE=",
        )
    if _height(hard) < FEW_DESCRIPTORS:
        return (
            f"only {hard} files may be open at a time: many clients at once may have to wait; "
            f"raise the limit to {FEW_DESCRIPTORS} or more (`ulimit -Hn`, LimitNOFILE=)"
        )
    return None


def keep_little_free_memory() -> bool:
    """Have the C library give freed memory back to the system; return false where it cannot.

    glibc lets these limits grow with what is freed, up to 32 MiB, and keeps that much in each of
    its arenas: after some minutes of work for many clients, 60 MiB that nothing uses. Setting them
    once also stops their growth. Other C libraries do not do so and have no such call.
    """
    with suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        return all(mallopt(parameter, value) for parameter, value in _MALLOC_LIMITS)
    return False


def give_back_free_memory() -> bool:
    """Give back what lies free between things in use; return false where the C library cannot.

    By itself glibc gives back only what is free at the end of its memory. This takes up to a
    millisecond.
    """
    with suppress(AttributeError, OSError):
        return bool(ctypes.CDLL(None).malloc_trim(0))
    return False


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
