"""LM Studio, the daemon and a client, with the settings that most tests of this folder want."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl import Client
from tests.lmstudio import LMStudio
from tests.service.lmstudio.asking import EMBEDDER, GEMMA, QWEN, RARELY_S
from tests.support.daemon import RunningDaemon, start_daemon


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    """Return the newest LM Studio, with three models on its disk and none in memory."""
    with LMStudio("v1", [EMBEDDER, QWEN, GEMMA]) as studio:
        yield studio


@pytest.fixture
def daemon(short_dir: Path, studio: LMStudio) -> Iterator[RunningDaemon]:
    """Return a daemon that has polled, and does so again only when asked."""
    with start_daemon(
        short_dir, studio.url, llm_provider="lmstudio", daemon_poll_interval=RARELY_S
    ) as daemon:
        daemon.client().list()
        yield daemon


@pytest.fixture
def client(daemon: RunningDaemon) -> Client:
    return daemon.client()
