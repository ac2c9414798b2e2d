"""How soon a saved config file is in force: ``python -m tests.bench.reload``.

A daemon in a process of its own is asked, again and again, for the value of a setting, from the
moment of the save until it is the new one. Beside it, on the same folder and in the same run, a
bare ``watchfiles.awatch`` with its defaults tells of the same saves: that is the reference.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from watchfiles import awatch

from devsynthctl import Client
from tests.support.daemon import daemon_process, toml_of
from tests.support.upstream_server import free_port

ROUNDS = 100
BUDGET_MS = 200
KEY = "llm_max_tokens"
PAUSE_S = 0.3  # longer than a reload may take, so that no save is seen with the one before

Save = Callable[[Path, str], None]


def in_place(path: Path, text: str) -> None:
    """Save as a simple editor does."""
    path.write_text(text)


def renamed_over(path: Path, text: str) -> None:
    """Save as most editors do."""
    new = path.with_name("new")
    new.write_text(text)
    new.replace(path)


def deleted_and_created(path: Path, text: str) -> None:
    """Save in the worst way: for a moment there is no file."""
    path.unlink()
    path.write_text(text)


WAYS: tuple[Save, ...] = (in_place, renamed_over, deleted_and_created)


def text_of(value: int) -> str:
    """Return a config file with *value*."""
    base = f"http://127.0.0.1:{free_port()}/v1"
    return toml_of({"llm_provider": "openai", "llm_api_base": base, KEY: value})


async def reference_ms(folder: Path, save: Save) -> list[float]:
    """Return how long a bare watch takes to tell of each save."""
    path = folder / "config.toml"
    path.write_text("")
    news = awatch(folder, recursive=False)
    took = []
    for number in range(ROUNDS):
        waiting = asyncio.ensure_future(anext(news))
        await asyncio.sleep(PAUSE_S)
        start = time.perf_counter()
        save(path, f"# {number}")
        await waiting
        took.append((time.perf_counter() - start) * 1000)
    return took


def daemon_ms(client: Client, path: Path, save: Save, first: int) -> list[float]:
    """Return how long after each save, whose values count from *first*, the value is in force."""
    took = []
    for value in range(first, first + ROUNDS):
        time.sleep(PAUSE_S)
        text = text_of(value)
        start = time.perf_counter()
        save(path, text)
        while client.config_get(KEY).settings[0].value != value:
            pass
        took.append((time.perf_counter() - start) * 1000)
    return took


def percentiles(took_ms: list[float]) -> tuple[float, float]:
    """Return p50 and p95."""
    return statistics.median(took_ms), statistics.quantiles(took_ms, n=20)[-1]


def measure(folder: Path, client: Client) -> list[tuple[str, float, float, float, float]]:
    """Return for each way to save p50 and p95 of the daemon, then those of the bare watch."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="ds-") as other:
        for number, save in enumerate(WAYS, start=1):
            ours = daemon_ms(client, folder / "config.toml", save, 10_000 * number)
            bare = asyncio.run(reference_ms(Path(other), save))
            rows.append((save.__name__, *percentiles(ours), *percentiles(bare)))
    return rows


def main() -> None:
    """Print a table, and fail where the budget is missed."""
    with tempfile.TemporaryDirectory(prefix="ds-") as name:
        folder = Path(name)
        (folder / "config.toml").write_text(text_of(1))
        with daemon_process(folder) as daemon, Client(daemon.endpoint) as client:
            rows = measure(folder, client)
    header = ("save until in force", "p50 ms", "p95 ms", "bare p50", "bare p95", "p95 ratio")
    sys.stdout.write("{:<22}{:>8}{:>8}{:>10}{:>10}{:>11}\n".format(*header))
    for way, p50, p95, bare50, bare95 in rows:
        sys.stdout.write(
            f"{way.replace('_', ' '):<22}{p50:>8.0f}{p95:>8.0f}"
            f"{bare50:>10.0f}{bare95:>10.0f}{p95 / bare95:>11.2f}\n"
        )
    sys.exit(any(row[2] > BUDGET_MS for row in rows))


if __name__ == "__main__":
    main()
