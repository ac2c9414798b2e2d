"""The upstream and the daemon of the tests in this folder, with the settings that most want."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.asking import RARELY_S
from tests.support.daemon import Dealer, RunningDaemon, start_daemon
from tests.support.upstream_server import UpstreamServer


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer(["a", "b"]) as server:
        yield server


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[RunningDaemon]:
    """Return a daemon with default settings; it has polled, and does so again only when asked."""
    with start_daemon(short_dir, upstream, daemon_poll_interval=RARELY_S) as daemon:
        daemon.dealer().ask(op="list", id=1)
        yield daemon


@pytest.fixture
def dealer(daemon: RunningDaemon) -> Dealer:
    return daemon.dealer()
