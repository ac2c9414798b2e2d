"""Daemons that are started ahead: each while a test uses the one before it.

A folder of tests has the fixture `ahead`, of the package's scope, and imports those below.
"""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess
from tests.support.upstream_server import UpstreamServer

FRESH_S = 4.0
"""Who waits for longer is not handed out: it may have polled again."""


@dataclass(frozen=True)
class Started:
    """A daemon, its upstream and the folder of its files; at first it may not answer yet."""

    folder: Path
    upstream: UpstreamServer
    daemon: DaemonProcess
    started_at: float


class Ahead:
    """Hands out daemons with the variables *environ*, each once, and has the next one start.

    Each has an upstream of its own, made by *upstream*.
    """

    def __init__(
        self,
        upstream: Callable[[], AbstractContextManager[UpstreamServer]],
        environ: Callable[[UpstreamServer], Mapping[str, str]],
    ) -> None:
        self.upstream, self._environ = upstream, environ
        self._next: Started | None = None
        self._exits = contextlib.ExitStack()

    @contextlib.contextmanager
    def take(self) -> Iterator[Started]:
        """Hand out a daemon that answers."""
        if self._next and time.monotonic() - self._next.started_at > FRESH_S:
            self.close()
        taken, exits = self._next or self._begin(), self._exits
        with exits:
            taken.daemon.wait_ready()
            self._begin()
            yield taken

    def close(self) -> None:
        """End the one that nobody has taken."""
        self._next = None
        self._exits.close()

    def _begin(self) -> Started:
        self._next, self._exits = None, contextlib.ExitStack()
        self._next = self._exits.enter_context(self._started())
        return self._next

    @contextlib.contextmanager
    def _started(self) -> Iterator[Started]:
        with tempfile.TemporaryDirectory(prefix="ds-") as name, self.upstream() as upstream:
            daemon = DaemonProcess(Path(name), environ=self._environ(upstream))
            try:
                yield Started(Path(name), upstream, daemon, time.monotonic())
            finally:
                daemon.close()


@pytest.fixture
def taken(ahead: Ahead) -> Iterator[Started]:
    with ahead.take() as taken:
        yield taken


@pytest.fixture
def short_dir(request: pytest.FixtureRequest) -> Iterator[Path]:
    """Return a folder for sockets; with `daemon`, the one that has its files."""
    if "taken" in request.fixturenames:
        yield request.getfixturevalue("taken").folder
        return
    with tempfile.TemporaryDirectory(prefix="ds-") as folder:
        yield Path(folder)


@pytest.fixture
def upstream(request: pytest.FixtureRequest, ahead: Ahead) -> Iterator[UpstreamServer]:
    """Return a server that is scripted; with `daemon`, the one that it asks."""
    if "taken" in request.fixturenames:
        yield request.getfixturevalue("taken").upstream
        return
    with ahead.upstream() as server:
        yield server


@pytest.fixture
def daemon(taken: Started, short_dir: Path, upstream: UpstreamServer) -> DaemonProcess:
    """Return a daemon of this test alone, with nothing set that `ahead` does not set."""
    assert (taken.folder, taken.upstream) == (short_dir, upstream)
    return taken.daemon
