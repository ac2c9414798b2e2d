"""The real commands on a scripted upstream."""

import contextlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.ahead import Ahead, daemon, short_dir, taken, upstream
from tests.support.daemon import environ_of
from tests.support.upstream_server import UpstreamServer

__all__ = ["asks", "daemon", "devsynthd", "short_dir", "taken", "upstream"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def asks(upstream: UpstreamServer | str, **more: str) -> dict[str, str]:
    """Return the variables that make *upstream* the daemon's, and *more* by setting."""
    url = upstream if isinstance(upstream, str) else upstream.url
    settings = {"llm_provider": "openai", "llm_api_base": url, **more}
    return {f"DEVSYNTH_{key.upper()}": value for key, value in settings.items()}


@pytest.fixture(scope="package")
def ahead() -> Iterator[Ahead]:
    """Return what starts the daemons of tests that want nothing special of them."""
    with contextlib.closing(Ahead(UpstreamServer, asks)) as ahead:
        yield ahead


@pytest.fixture
def devsynthd(short_dir: Path) -> Run:
    """Return a function that runs ``devsynthd`` to its end, on files in the test's folder."""

    def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "devsynthd", *arguments],
            env=environ_of(short_dir, environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=15,
            check=False,
        )

    return run
