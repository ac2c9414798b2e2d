"""Stand-ins for llama.cpp that start at once, and engines that run them."""

import asyncio
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from devsynthd.upstream.engine import Endpoint, Engine, EngineConfig

REPORT = "print('{\"port\": 1}', flush=True)"
SERVES = f"input(); {REPORT}; input()"
SERVES_ON_CUE = f"import json; open(json.loads(input())['model_path']).read(); {REPORT}; input()"
LOADS_FOR_EVER = "input(); input()"
IGNORES_ITS_PARENT = f"import signal; input(); {REPORT}; signal.pause()"
SAYS_NO_PORT = "print('hello')"
GIVES_UP = "import sys; sys.exit('tensor of\\x1b[31m no\\tshape')"


def stand_in(
    script: str,
    model: Path = Path("/dev/null"),
    *,
    idle_timeout_s: float = 60,
    start_timeout_s: float = 60,
    on_change: Callable[[], None] = lambda: None,
) -> Engine:
    """Return an engine whose child runs the Python *script*."""
    return Engine(
        EngineConfig(model_path=model, context_length=512, threads=0),
        idle_timeout_s=idle_timeout_s,
        on_change=on_change,
        start_timeout_s=start_timeout_s,
        command=(sys.executable, "-c", script),
    )


async def use(engine: Engine) -> Endpoint:
    """Take a lease and leave it at once."""
    async with engine.lease() as endpoint:
        return endpoint


async def begun(work: Coroutine[Any, Any, Endpoint]) -> "asyncio.Task[Endpoint]":
    """Return a task for *work* that has run up to its first wait."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task
