"""A program of a user whose daemon is restarted under it; the container's own Python runs it.

    python over_a_restart.py list NUMBER       asks again and again until standard input ends
    python over_a_restart.py generate NUMBER   asks once

NUMBER requests are under way at once. Prints ``begun``, then a JSON array: what became of each.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack
from itertools import chain

from devsynthctl import AsyncClient
from devsynthd.wire.errors import DevsynthError

CLIENTS = 5
LIMIT_S = 45.0


async def listed(client: AsyncClient) -> str:
    """Return ``ok``, or the code of the error."""
    try:
        models = (await client.list()).models
    except DevsynthError as exc:
        return exc.code
    return "ok" if models else "empty"


async def keep_listing(client: AsyncClient, number: int, enough: asyncio.Event) -> list[str]:
    """Ask *number* times at once, again and again, until *enough* and once more."""
    outcomes: list[str] = []
    last = False
    while not last:
        last = enough.is_set()
        outcomes += await asyncio.gather(*(listed(client) for _ in range(number)))
    return outcomes


async def list_until_input_ends(clients: list[AsyncClient], number: int) -> list[str]:
    """Return what became of each list."""
    enough = asyncio.Event()
    each = number // len(clients)
    tasks = [asyncio.create_task(keep_listing(client, each, enough)) for client in clients]
    await asyncio.to_thread(sys.stdin.read)
    enough.set()
    return list(chain.from_iterable(await asyncio.gather(*tasks)))


async def generated(client: AsyncClient, prompt: str) -> tuple[str, str]:
    """Return *prompt*, and what it got: the text, or the code of the error."""
    try:
        return prompt, (await client.generate(prompt)).text
    except DevsynthError as exc:
        return prompt, exc.code


async def generate(clients: list[AsyncClient], number: int) -> list[tuple[str, str]]:
    """Return what became of each prompt."""
    asking = (generated(clients[n % len(clients)], f"question {n}") for n in range(number))
    return list(await asyncio.gather(*asking))


async def main(op: str, number: int) -> None:
    """Do what the module's docstring says."""
    async with asyncio.timeout(LIMIT_S), AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(AsyncClient()) for _ in range(CLIENTS)]
        for client in clients:
            await client.ping()
        sys.stdout.write("begun\n")
        sys.stdout.flush()
        ask = list_until_input_ends if op == "list" else generate
        outcomes = await ask(clients, number)
    sys.stdout.write(json.dumps(outcomes))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
