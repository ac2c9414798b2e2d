"""What a test has arranged to happen: answers, faults, and how long a load takes."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from tests.lmstudio.completion import Answer
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import Reply

Fault = Callable[[Reply], Reply]
"""Takes the good reply to a request and returns what is done instead, or around it."""


@dataclass(kw_only=True)
class Arranged:
    """A fault that waits for its request."""

    fault: Fault
    path: str | None  # any, if None
    method: str | None
    times: int

    def meets(self, exchange: Exchange) -> bool:
        """Return whether *exchange* is a request for this fault."""
        path = exchange.path.partition("?")[0]
        return self.path in {None, path} and self.method in {None, exchange.method}


class Script:
    """What comes next; filled by tests and used up by the server, each in its own thread."""

    def __init__(self) -> None:
        self.answer = Answer()  # what is said when *answers* is empty
        self.echo = False  # rather say what was asked
        self.answers: deque[Answer] = deque()
        self.faults: list[Arranged] = []
        self.load_failures: deque[str] = deque()
        self.load_gate: Gate | None = None
        self.load_s = 0.0
        self._lock = threading.Lock()

    def next_answer(self) -> Answer:
        """Return what the model says now."""
        with self._lock:
            return self.answers.popleft() if self.answers else self.answer

    def afflicted(self, exchange: Exchange, good: Reply) -> Reply:
        """Return *good*, or what the next fault for *exchange* makes of it."""
        with self._lock:
            arranged = next((each for each in self.faults if each.meets(exchange)), None)
            if arranged is None:
                return good
            arranged.times -= 1
            if arranged.times <= 0:
                self.faults.remove(arranged)
            return arranged.fault(good)

    def load_failure(self) -> str | None:
        """Return how the load that ends now fails; None if it does not."""
        with self._lock:
            return self.load_failures.popleft() if self.load_failures else None

    async def load_time(self) -> None:
        """Wait for as long as a load takes."""
        if self.load_gate is not None:
            await self.load_gate.pass_one()
        elif self.load_s:
            await asyncio.sleep(self.load_s)
