import errno
import platform
import subprocess
import sys

import pytest

from devsynthd.host.limits import resident_bytes, shortage

RAISE = """
import resource
from devsynthd.host.limits import raise_descriptor_limit
resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT, HARD))
print(*raise_descriptor_limit(), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def raised(soft: int, hard: int) -> list[int]:
    """Return what was told and what then holds, in a process with these limits."""
    code = RAISE.replace("SOFT", str(soft)).replace("HARD", str(hard))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return [int(number) for number in done.stdout.split()]


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    assert raised(128, 512) == [128, 512, 512, 512]


def test_a_limit_that_is_at_its_height_stays() -> None:
    assert raised(512, 512) == [512, 512, 512, 512]


CHECK = """
import resource
from devsynthd.host.limits import check_descriptor_limit
from devsynthd.wire.errors import ConfigInvalid
resource.setrlimit(resource.RLIMIT_NOFILE, (48, HARD))
try:
    print(check_descriptor_limit())
except ConfigInvalid as exc:
    print("refused:", exc)
"""


@pytest.mark.parametrize(
    ("hard", "told"),
    [
        (63, "refused: only 63 files may be open at a time"),
        (64, "only 64 files may be open at a time"),
        (255, "only 255 files may be open at a time"),
        (256, "None"),
    ],
)
def test_it_is_the_hard_limit_that_has_to_be_high_enough(hard: int, told: str) -> None:
    code = CHECK.replace("HARD", str(hard))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.startswith(told)


def test_resident_memory_grows_by_what_is_used() -> None:
    before = resident_bytes()
    ballast = b"x" * 64 * 2**20
    after = resident_bytes()

    assert before is not None
    assert after is not None
    assert 2**20 < before < 2**32
    assert after - before > len(ballast) // 2


def test_memory_is_given_back_where_the_c_library_can() -> None:
    """In a process of its own: it cannot be taken back."""
    code = "from devsynthd.host.limits import *; print(keep_little_free_memory())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == str(platform.libc_ver()[0] == "glibc")


@pytest.mark.parametrize(
    ("exc", "told"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "Too many open files"),
        (BlockingIOError(errno.EAGAIN, "no thread can be started"), "no thread can be started"),
        (MemoryError(), "Cannot allocate memory"),
        (ImportError("failed to map segment"), "a part of the daemon cannot be loaded"),
        (ModuleNotFoundError("No module named 'x'"), None),
        (OSError(errno.EIO, "Input/output error"), None),
        (ValueError("a bug"), None),
    ],
)
def test_a_machine_without_is_told_from_a_bug(exc: Exception, told: str | None) -> None:
    assert shortage(exc) == told
