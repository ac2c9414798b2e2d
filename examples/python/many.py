"""Asks many things at once: one question about each file, and the answers as they are complete.

    python many.py "What does this file do? One sentence." *.py

The daemon runs as many at a time as its setting daemon_max_concurrency allows, and queues the rest.
Ctrl-C cancels all of them.
"""

import asyncio
import sys
from pathlib import Path

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


async def main(question: str, files: list[Path]) -> int:
    """Return the exit status: 0 if every file got its answer."""
    turns = asyncio.Semaphore(AT_ONCE)
    async with AsyncClient() as client:
        answered = await asyncio.gather(*(ask(client, turns, question, file) for file in files))
    return 0 if all(answered) else 1


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(main(sys.argv[1], [Path(name) for name in sys.argv[2:]])))
    except (IndexError, KeyboardInterrupt) as problem:
        sys.exit(__doc__ if isinstance(problem, IndexError) else 130)
