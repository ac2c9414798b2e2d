"""Jobs that wait for their turns, as generations do."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from devsynthd.scheduling.turns import Turns


async def passes(count: int = 4) -> None:
    """Let the event loop go round, so that all that can happen has happened."""
    for _ in range(count):
        await asyncio.sleep(0)


class Job:
    """A task that queues up, gets ready when it is let, takes its turns and tells of it all."""

    def __init__(
        self,
        turns: Turns,
        client: str,
        *,
        lane: str = "m",
        background: bool = False,
        ready: bool = True,
        rounds: int = 1,
    ) -> None:
        self._turns, self._client = turns, client
        self._lane, self._background, self.rounds = lane, background, rounds
        self.moves: list[int] = []
        self.turns_taken = 0
        self.runs = False
        self.admitted = False
        self.is_cancelled = False
        self._ready, self._ended = asyncio.Event(), asyncio.Event()
        if ready:
            self._ready.set()
        self.task = asyncio.create_task(self._go())

    @property
    def position(self) -> int | None:
        return self._turns.position(self)

    def ready(self) -> None:
        """Let it wait for its turn."""
        self._ready.set()

    def end(self) -> None:
        """End its turn, or the next one if it has none."""
        self._ended.set()

    def cancel(self) -> None:
        """Cancel its task."""
        if not self.task.done():
            self.is_cancelled = True
            self.task.cancel()

    async def _go(self) -> None:
        place = self._turns.place(
            self._client, self, background=self._background, moved=self.moves.append
        )
        async with place as queued:
            self.admitted = True
            await self._ready.wait()
            for _ in range(self.rounds):
                async with queued.turn(self._lane):
                    self.turns_taken += 1
                    self.runs = True
                    try:
                        await self._ended.wait()
                    finally:
                        self.runs = False
                    self._ended.clear()


Check: TypeAlias = Callable[[Turns], Awaitable[None]]


def run(check: Check, turns: Turns) -> None:
    """Run *check* and see that it leaves nothing behind, neither tickets nor complaints."""
    complaints: list[str] = []

    async def checked() -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["message"])
        )
        await check(turns)
        await passes()

    asyncio.run(checked())
    assert (turns.queue.running, turns.queue.waiting) == (0, 0)
    assert complaints == []


async def ended(*jobs: Job) -> None:
    """End the turns of *jobs* and wait for their tasks."""
    for job in jobs:
        job.end()
    await asyncio.gather(*(job.task for job in jobs), return_exceptions=True)
