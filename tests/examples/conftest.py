"""The real daemon on a scripted upstream, and the commands on the PATH, as the examples expect."""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lmstudio import LMStudio
from tests.process.conftest import asks
from tests.support.ahead import Ahead, daemon, short_dir, taken, upstream
from tests.support.daemon import DaemonProcess, daemon_process
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import Reply, infill_end, infill_piece, status
from tests.support.upstream_server import UpstreamServer

__all__ = ["EXAMPLES", "daemon", "filled", "short_dir", "taken", "upstream"]

EXAMPLES = Path(__file__).parents[2] / "examples"


LLAMA_SERVER = status(200, {"object": "list", "data": [{"id": "m", "owned_by": "llamacpp"}]})


@contextlib.contextmanager
def llama_server() -> Iterator[UpstreamServer]:
    """Yield a server of the kind that can fill in the middle."""
    with UpstreamServer() as server:
        server.models_reply = LLAMA_SERVER
        yield server


@pytest.fixture(scope="package")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH on which ``devsynthctl`` is that of these sources."""
    folder = tmp_path_factory.mktemp("bin")
    command = folder / "devsynthctl"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m devsynthctl "$@"\n')
    command.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="package")
def ahead(path: str) -> Iterator[Ahead]:
    """Return what starts daemons whose variables are those of their clients too."""
    with contextlib.closing(Ahead(llama_server, lambda at: {**asks(at), "PATH": path})) as ahead:
        yield ahead


@pytest.fixture
def lmstudio() -> Iterator[LMStudio]:
    with LMStudio("v1", ["qwen/qwen3-4b", "google/gemma-3-4b"]) as studio:
        yield studio


@pytest.fixture
def studio_daemon(short_dir: Path, lmstudio: LMStudio, path: str) -> Iterator[DaemonProcess]:
    """Return a daemon beside LM Studio, which cannot fill in the middle."""
    environ = {**asks(lmstudio.url, llm_provider="lmstudio"), "PATH": path}
    with daemon_process(short_dir, environ=environ) as running:
        yield running


def filled(*texts: str, gate: Gate | None = None) -> Reply:
    """Answer as llama-server fills a gap; each of *texts*, and the end, waits for *gate*."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        for value in (*map(infill_piece, texts), infill_end()):
            if gate is not None:
                await gate.pass_one()
            await exchange.event(value)
        await exchange.end()

    return reply
