"""What the tests of this folder ask an upstream, and how."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.upstream.base import Chat, Delta, Ending, Upstream, Vectors
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.upstream.relay import Relay
from devsynthd.wire.requests import Message

CHAT = Chat(model="m", messages=(Message("user", "hi"),), max_tokens=7, temperature=0.5)
TEXT = Chat(model="m", messages=(), max_tokens=7, temperature=0.5, prompt="def f(x):\n    return")
GAP = Chat(
    model="m", messages=(), max_tokens=7, temperature=0.5, prompt="def f(x):\n", suffix="\n\nf(1)"
)
PATIENT = Timeouts(connect_s=10, first_token_s=10, idle_s=10, list_s=10)
SOON_S = 0.2
"""Within this a cancelled generation's connection must be closed."""


class Asked(Struct):
    """A whole answer."""

    ending: Ending
    deltas: list[Delta]

    @property
    def text(self) -> str:
        """All of its text."""
        return "".join(delta.text for delta in self.deltas)


@asynccontextmanager
async def upstream_at(
    url: str,
    *,
    timeouts: Timeouts = PATIENT,
    api_key: str = "",
    ca_bundle: str = "",
    max_threads: int = 4,
    clock: Callable[[], float] = time.monotonic,
) -> AsyncIterator[OpenAIUpstream]:
    """Yield the upstream at *url* and close it."""
    upstream = OpenAIUpstream(
        url,
        api_key=api_key,
        timeouts=timeouts,
        ca_bundle=ca_bundle,
        max_threads=max_threads,
        clock=clock,
    )
    try:
        yield upstream
    finally:
        await upstream.close()


def relay() -> Relay[Delta]:
    """Return a relay that holds more than any answer here."""
    return Relay(100_000, lambda: None)


class Unnoticed:
    """Takes no notice of how far a request is."""

    def loading(self) -> None:
        """Take no notice that the model is being loaded."""

    def sent(self) -> None:
        """Take no notice that the request is sent."""


class Noted(Unnoticed):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def loading(self) -> None:
        """Note that the model is being loaded."""
        self.told.append("loading")

    def sent(self) -> None:
        """Note that the request is sent."""
        self.told.append("sent")


unnoticed = Unnoticed()


async def ask(upstream: Upstream, chat: Chat = CHAT) -> Asked:
    """Return the answer to *chat*."""
    deltas = relay()
    ending = await upstream.chat(chat, deltas, unnoticed)
    return Asked(ending, deltas.take())


def numbers(found: Vectors) -> list[tuple[float, ...]]:
    """Return the numbers of each vector."""
    return [msgspec.msgpack.decode(each, type=tuple[float, ...]) for each in found.vectors]


async def cancelled(task: asyncio.Task[Any]) -> float:
    """Cancel *task*; return how many seconds it took to end."""
    started = time.monotonic()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    return time.monotonic() - started
