"""Asks many things at once: one question about each file, and the answers as they are complete.

    python many.py "What does this file do? One sentence." *.py

The daemon runs as many at a time as its setting daemon_max_concurrency allows, and queues the rest.
Ctrl-C cancels all of them.
"""

import argparse
import asyncio
import sys
from pathlib import Path

from ending import run

from devsynthctl import AsyncClient, DevsynthError

AT_ONCE = 32  # below the daemon's limit of what one client may have waiting (daemon_queue_limit)


async def ask(client: AsyncClient, turns: asyncio.Semaphore, question: str, file: Path) -> bool:
    """Print the answer about *file*, and return whether there was one."""
    async with turns:
        try:
            text = await asyncio.to_thread(file.read_text, encoding="utf-8")
            answer = await client.generate(f"{question}\n\n{file.name}:\n{text}", background=True)
        except (DevsynthError, OSError, UnicodeDecodeError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            return False
    print(f"{file}: {answer.text.strip()}", flush=True)
    return True


async def ask_about(question: str, files: list[Path]) -> int:
    """Return the exit status: 0 if every file got its answer."""
    turns = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient() as client:
        await client.ping()  # without a daemon that is said once, not of each file
        answered = await asyncio.gather(*(ask(client, turns, question, file) for file in files))
    return 0 if all(answered) else 1


def main() -> int:
    """Ask what the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("question")
    parser.add_argument("file", nargs="+", type=Path)
    given = parser.parse_args()
    return asyncio.run(ask_about(given.question, given.file))


if __name__ == "__main__":
    run(main)
