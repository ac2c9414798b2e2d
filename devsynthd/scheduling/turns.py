"""Lets generations wait for their turn on the event loop."""

import asyncio
from collections.abc import Callable, Hashable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Self

from devsynthd.scheduling.queue import FairQueue
from devsynthd.wire.errors import QueueFull


@dataclass(frozen=True, slots=True)
class _Entry:
    """How a ticket queues up, the first time and any other."""

    client: Hashable
    ticket: Hashable
    size_bytes: int
    background: bool
    moved: Callable[[int], None] | None


@dataclass(slots=True)
class _Listener:
    """Who is told where a ticket stands, and what it was told last."""

    moved: Callable[[int], None]
    told: int | None = None


class Place:
    """A place in the queue, from ``Turns.place``: taken by entering it, given up at the end."""

    def __init__(self, turns: "Turns", entry: _Entry, model: str | None) -> None:
        self._turns, self._entry, self._model = turns, entry, model

    async def __aenter__(self) -> Self:
        self._turns.admit(self._entry, self._model)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave(self._entry.ticket)

    def turn(self, model: str) -> AbstractAsyncContextManager[None]:
        """Wait for the turn, for an answer of *model*; keep it inside, and pass it on at the end.

        May be used again after it was left: the ticket then waits at the head of its client's line.
        """
        return _Turn(self._turns, self._entry, model)

    def wait_again(self) -> None:
        """Wait there from now on, after a turn, although it is not known yet for which model."""
        self._turns.enter(self._entry, first=True)


class _Turn(AbstractAsyncContextManager[None]):
    # By ``asynccontextmanager`` it would be several times as many calls, for each generation.
    def __init__(self, turns: "Turns", entry: _Entry, model: str) -> None:
        self._turns, self._entry, self._model = turns, entry, model

    async def __aenter__(self) -> None:
        called = self._turns.call(self._entry, self._model)
        try:
            await called
        except BaseException:
            self._turns.end(self._entry.ticket)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._turns.end(self._entry.ticket)


class Turns:
    """Gives turns in the order of a ``FairQueue``.

    *slots* tells how many may run at once in a lane, as ``FairQueue.next`` asks for it; *lane_of*
    which lane a model is in now. All but the constructor belongs on the event loop.
    """

    def __init__(
        self,
        max_running: int,
        limit: int,
        slots: Callable[[str], int | None] = lambda _: None,
        lane_of: Callable[[str], str] = lambda model: model,
    ) -> None:
        self.queue: FairQueue[Hashable, Hashable] = FairQueue(max_running, limit)
        self._slots, self._lane_of = slots, lane_of
        self._models: dict[Hashable, str] = {}  # of tickets that have asked for their turn
        self._calls: dict[Hashable, asyncio.Future[None]] = {}
        self._listeners: dict[Hashable, _Listener] = {}  # of tickets that wait
        self._positions: dict[Hashable, int] | None = None  # None: not computed since a change
        self._will_tell = False

    def resize(self, max_running: int, limit: int) -> None:
        """Change both limits; turns that are taken already last."""
        self.queue.max_running, self.queue.limit = max_running, limit
        self.look()

    def look_anew(self) -> None:
        """Start what can start now: models may be in other lanes, and those have other slots."""
        for ticket, model in self._models.items():
            if self.queue.waits(ticket):
                self.queue.ready(ticket, self._lane_of(model))
        self.look()

    def look(self) -> None:
        """Start what can start now."""
        while (ticket := self.queue.next(self._slots)) is not None:
            self._listeners.pop(ticket, None)
            called = self._calls[ticket]
            if not called.done():  # else its task is cancelled, and passes the turn on as it ends
                called.set_result(None)
        self._positions = None
        if self._listeners and not self._will_tell:
            self._will_tell = True
            asyncio.get_running_loop().call_soon(self._tell)

    def position(self, ticket: Hashable) -> int | None:
        """Return how many go before *ticket*; None if it does not wait."""
        if self._positions is None:
            self._positions = {waits: ahead for ahead, waits in enumerate(self.queue.order())}
        return self._positions.get(ticket)

    def place(
        self,
        client: Hashable,
        ticket: Hashable,
        *,
        size_bytes: int = 0,
        background: bool = False,
        model: str | None = None,
        moved: Callable[[int], None] | None = None,
    ) -> Place:
        """Return a place for *ticket*, whose request holds *size_bytes*: a block to be entered.

        *model* is who will answer, as far as is known: a full queue does not keep it from an idle
        one. While it waits, *moved* is called with its position (0: it is next), once unless it
        starts at once, and again whenever that has changed.

        Entering it raises:
            QueueFull: Too many of *client* or of all clients wait already, or too many bytes.
        """
        return Place(self, _Entry(client, ticket, size_bytes, background, moved), model)

    # Of places -----------------------------------------------------------------------------

    def admit(self, entry: _Entry, model: str | None) -> None:
        """Queue *entry* up, whom *model* will answer, as far as is known.

        Raises:
            QueueFull: As ``place`` says.
        """
        can_start = (
            model is not None
            and not entry.background
            and self.queue.can_start(self._lane_of(model), self._slots)
        )
        if refusal := self.queue.refusal(entry.client, entry.size_bytes, can_start=can_start):
            remedy = "raise daemon_queue_limit"
            if not self.queue.fits(entry.size_bytes):
                remedy = "send less at once"
            raise QueueFull(refusal, hint=f"try again later, or {remedy}")
        self.enter(entry, first=False)

    def call(self, entry: _Entry, model: str) -> asyncio.Future[None]:
        """Return what is done once it is the turn of *entry*, for an answer of *model*.

        It is to be ended in any case.
        """
        ticket = entry.ticket
        if not self.queue.waits(ticket):
            self.enter(entry, first=True)
        called = self._calls[ticket] = asyncio.get_running_loop().create_future()
        self._models[ticket] = model
        self.queue.ready(ticket, self._lane_of(model))
        self.look()
        return called

    def end(self, ticket: Hashable) -> None:
        """End the turn of *ticket*, or its wait for one."""
        del self._calls[ticket], self._models[ticket]
        self.leave(ticket)

    def enter(self, entry: _Entry, *, first: bool) -> None:
        """Have *entry* wait, at the head of its client's line if it is to be the *first*."""
        self.queue.add(
            entry.client,
            entry.ticket,
            size_bytes=entry.size_bytes,
            background=entry.background,
            first=first,
        )
        if entry.moved is not None:
            self._listeners[entry.ticket] = _Listener(entry.moved)
        self.look()

    def leave(self, ticket: Hashable) -> None:
        """Take *ticket* out of the queue, if it is in it, and pass its place on.

        Only the queue knows where it stands: it may have given a turn to a future that was
        cancelled, and a future that has its turn may belong to a task that was cancelled.
        """
        if self.queue.waits(ticket):
            self.queue.remove(ticket)
            self._listeners.pop(ticket, None)
        elif self.queue.runs(ticket):
            self.queue.done(ticket)
        self.look()

    # Positions -----------------------------------------------------------------------------

    def _tell(self) -> None:
        """Tell positions that have changed, once for all that happened in a pass of the loop."""
        self._will_tell = False
        for ticket, listener in list(self._listeners.items()):
            position = self.position(ticket)  # in the loop, since a listener may change the queue
            if position is not None and position != listener.told:
                listener.told = position
                listener.moved(position)
