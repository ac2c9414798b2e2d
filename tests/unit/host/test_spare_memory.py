"""Memory is given back a while after it was used, and not again and again."""

import asyncio
import subprocess
import sys

import pytest

from devsynthd.host.spare_memory import SpareMemory
from tests.support.needs import missing


def test_it_is_given_back_once_for_all_that_was_done_meanwhile() -> None:
    async def run() -> int:
        given = asyncio.Event()
        times = 0

        def give_back() -> None:
            nonlocal times
            times += 1
            given.set()

        memory = SpareMemory(give_back, after_s=0.01)
        for _ in range(3):
            memory.used()
        await given.wait()
        given.clear()
        memory.used()
        await given.wait()
        return times

    assert asyncio.run(asyncio.wait_for(run(), 10)) == 2


def test_nothing_is_waited_for_without_work_and_after_the_end() -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        memory = SpareMemory(lambda: pytest.fail("it was given back"), after_s=0.0)
        memory.close()
        memory.used()
        memory.close()
        reached = asyncio.Event()
        loop.call_later(0.01, reached.set)  # a timer that is due after that one
        await reached.wait()

    asyncio.run(asyncio.wait_for(run(), 10))


LEAVE_HOLES = """
import ctypes
from devsynthd.host.limits import give_back_free_memory, resident_bytes
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
pieces = [ctypes.c_void_p(libc.malloc(32768)) for _ in range(2000)]
for piece in pieces:
    ctypes.memset(piece, 1, 32768)
for number, piece in enumerate(pieces):
    if number % 20:
        libc.free(piece)
before = resident_bytes()
print(give_back_free_memory(), before - resident_bytes())
"""


def test_what_lies_free_between_things_in_use_is_given_back() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE_HOLES], capture_output=True, text=True, check=True, timeout=15
    )
    could, freed = done.stdout.split()
    if could == "False":
        missing("glibc", "only its malloc keeps such memory")
    assert int(freed) > 2000 * 32768 / 2
