"""Child processes, and what waits for their end."""

import asyncio
import os
import resource
import sys
import threading
from collections.abc import Iterator

import pytest

from devsynthd.host.processes import start_process, wait_without_threads

ECHO = (sys.executable, "-c", "print(input())")


async def echoed(text: str) -> bytes:
    process = await start_process(ECHO)
    said, _ = await process.communicate(text.encode())
    assert process.returncode == 0
    return said


def test_what_it_says_is_read() -> None:
    assert asyncio.run(echoed("hello")) == b"hello\n"


@pytest.fixture
def _watcher() -> Iterator[None]:
    """Put back who waits for children: it is one for all loops of this process."""
    if sys.version_info >= (3, 12):
        yield
        return
    policy = asyncio.get_event_loop_policy()
    before = policy.get_child_watcher()
    yield
    policy.set_child_watcher(before)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="there are no descriptors of processes")
@pytest.mark.usefixtures("_watcher")
def test_no_thread_waits_for_its_end() -> None:
    async def scenario() -> set[threading.Thread]:
        wait_without_threads(asyncio.get_running_loop())
        before = set(threading.enumerate())
        process = await start_process(ECHO)
        started = set(threading.enumerate()) - before
        await process.communicate(b"x")
        assert process.returncode == 0
        return started

    assert asyncio.run(scenario()) == set()


def test_none_without_descriptors() -> None:
    async def scenario() -> None:
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(OSError, match="Too many open files"):
                await start_process(ECHO)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    asyncio.run(scenario())
