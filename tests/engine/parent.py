"""A parent of the engine for tests to kill: python parent.py MODEL.

Once the engine answers, it prints the engine's pid, address and key.
"""

import asyncio
import sys
from pathlib import Path

from devsynthd.upstream.engine import Engine, EngineConfig


async def main() -> None:
    model = Path(sys.argv[1])
    config = EngineConfig(model_path=model, context_length=512, threads=0)
    engine = Engine(config, idle_timeout_s=60)
    async with engine.lease() as endpoint:
        sys.stdout.write(f"{engine.pid} {endpoint.base_url} {endpoint.api_key}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


asyncio.run(main())
