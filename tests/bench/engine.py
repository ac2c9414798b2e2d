"""What the daemon costs on a real model: ``python -m tests.bench.engine``.

One engine answers both ways, in turns: asked directly (``requests``, ``iter_lines``, warm) and
through a daemon. Prints medians and their ratios.
"""

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import requests

from devsynthctl import Client
from devsynthd.upstream.engine import Endpoint, Engine, EngineConfig
from devsynthd.upstream.weights import find_weights
from tests.support.daemon import DaemonProcess

ROUNDS = 15
TOKENS = 64
PROMPT = "Write a short story about a lighthouse."
IMPORTS = "import click, zmq, msgspec"

Run = Callable[[], tuple[float, float]]


def direct(session: requests.Session, endpoint: Endpoint) -> tuple[float, float]:
    """Return seconds to the first token and tokens per second, straight from the engine."""
    start = time.perf_counter()
    body = {
        "model": "local_model",
        "messages": [{"role": "user", "content": PROMPT}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": True,
    }
    with session.post(
        f"{endpoint.base_url}/chat/completions",
        json=body,
        headers={"Authorization": f"Bearer {endpoint.api_key}"},
        stream=True,
        timeout=60,
    ) as response:
        arrivals = []
        for line in response.iter_lines():
            if line.startswith(b"data: {"):
                choices = json.loads(line[6:])["choices"]
                if choices and choices[0]["delta"].get("content"):
                    arrivals.append(time.perf_counter())
    return arrivals[0] - start, (len(arrivals) - 1) / (arrivals[-1] - arrivals[0])


def through_daemon(client: Client) -> tuple[float, float]:
    """Return the same through the daemon."""
    start = time.perf_counter()
    arrivals: list[float] = []
    with client.stream(PROMPT, max_tokens=TOKENS, temperature=0) as stream:
        arrivals.extend(time.perf_counter() for chunk in stream if chunk.text)
    usage = stream.result.usage
    assert usage is not None
    return arrivals[0] - start, (usage.completion_tokens - 1) / (arrivals[-1] - arrivals[0])


def wall_s(*command: str) -> float:
    """Return how long *command* takes."""
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def report(what: str, figure: float, reference: float, unit: str) -> None:
    """Print one row."""
    ratio = figure / reference
    sys.stdout.write(f"{what:<34}{figure:>10.2f} {unit:<9}{reference:>10.2f} {ratio:>8.3f}\n")


async def measure(folder: Path) -> None:
    """Start an engine and a daemon that uses it, and print the table."""
    config = EngineConfig(find_weights("", demo_allowed=True), 4096, 0)
    engine = Engine(config, idle_timeout_s=3600)
    async with engine.lease() as endpoint:
        await asyncio.to_thread(compare, folder, endpoint)
    await engine.stop()


def compare(folder: Path, endpoint: Endpoint) -> None:
    """Ask both ways in turns and print the table."""
    environ = {
        "DEVSYNTH_LLM_PROVIDER": "openai",
        "DEVSYNTH_LLM_API_BASE": endpoint.base_url,
        "DEVSYNTH_LLM_API_KEY": endpoint.api_key,
    }
    started = time.perf_counter()
    daemon = DaemonProcess(folder, environ=environ)
    try:
        with Client(daemon.endpoint) as client, requests.Session() as session:
            client.connect(wait=10)
            client.ping()
            start_s = time.perf_counter() - started
            runs: tuple[Run, Run] = (
                lambda: through_daemon(client),
                lambda: direct(session, endpoint),
            )
            results: tuple[list[tuple[float, float]], ...] = ([], [])
            for run in runs:
                run()  # warm
            for _ in range(ROUNDS):
                for run, found in zip(runs, results, strict=True):
                    found.append(run())
            memory = client.status().memory_bytes or 0
            models = [sys.executable, "-m", "devsynthctl", "--socket", daemon.endpoint, "models"]
            listing_s = statistics.median(wall_s(*models) for _ in range(ROUNDS))
            imports_s = statistics.median(
                wall_s(sys.executable, "-c", IMPORTS) for _ in range(ROUNDS)
            )
    finally:
        daemon.close()
    first, speed = (
        [statistics.median(run[part] for run in found) for found in results] for part in (0, 1)
    )
    sys.stdout.write(f"{'':<34}{'daemon':>10} {'':<9}{'reference':>10} {'ratio':>8}\n")
    report("time to first token", first[0] * 1000, first[1] * 1000, "ms")
    report("tokens per second", speed[0], speed[1], "tokens/s")
    report("`devsynthctl models`, bare imports", listing_s * 1000, imports_s * 1000, "ms")
    sys.stdout.write(f"start until the first answer{start_s * 1000:>16.0f} ms\n")
    sys.stdout.write(f"resident memory of the daemon{memory / 2**20:>15.1f} MiB\n")


def main() -> None:
    """Measure in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="ds-") as folder:
        asyncio.run(measure(Path(folder)))


if __name__ == "__main__":
    main()
