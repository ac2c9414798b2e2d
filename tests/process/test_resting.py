"""What a daemon does while nobody asks it for anything: counted, since times differ by machine."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl import Client
from tests.lmstudio import LMStudio
from tests.lmstudio.paths import Generation
from tests.support.daemon import DaemonProcess, daemon_process
from tests.support.upstream_server import UpstreamServer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

MOST_WAKEUPS_A_SECOND = 35
"""A poll a second takes 5, the watcher, which looks each 50 ms, 20; another such would be more."""

MOST_THREADS = 8
"""The loop's, two of ZeroMQ's, two that list, and those that read the config file: mostly one."""


def wakeups(pid: int) -> int:
    """Return how often threads of the process have waited for something, and were woken."""
    lines = [
        line
        for task in Path(f"/proc/{pid}/task").iterdir()
        for line in (task / "status").read_text("ascii", errors="replace").splitlines()
    ]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def asks(url: str, provider: str, interval_s: float) -> dict[str, str]:
    return {
        "DEVSYNTH_LLM_PROVIDER": provider,
        "DEVSYNTH_LLM_API_BASE": url,
        "DEVSYNTH_DAEMON_POLL_INTERVAL": str(interval_s),
    }


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[DaemonProcess]:
    with daemon_process(short_dir, environ=asks(upstream.url, "openai", 1)) as running:
        yield running


def test_an_idle_daemon_is_woken_by_hardly_more_than_its_polls(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.wait_list(2)
    start, before = time.monotonic(), wakeups(daemon.process.pid)
    upstream.wait_list(5)
    took_s = time.monotonic() - start

    assert (wakeups(daemon.process.pid) - before) / took_s <= MOST_WAKEUPS_A_SECOND


def test_an_idle_daemon_has_few_threads(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.wait_list(3)
    threads = list(Path(f"/proc/{daemon.process.pid}/task").iterdir())

    assert len(threads) <= MOST_THREADS


@pytest.mark.parametrize("generation", ["v1", "v0", "openai"])
@pytest.mark.parametrize("provider", ["lmstudio", "openai"])
def test_once_the_server_is_known_a_poll_is_one_request(
    short_dir: Path, generation: Generation, provider: str
) -> None:
    with (
        LMStudio(generation) as studio,
        daemon_process(short_dir, environ=asks(studio.url, provider, 3600)) as daemon,
        Client(daemon.endpoint) as client,
    ):
        client.list(refresh=True)
        before = len(studio.requests())
        client.list(refresh=True)
        assert len(studio.requests()) == before + 1
