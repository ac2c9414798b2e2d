"""How an upstream comes to be asked: find out who answers, wait for a turn, ask, perhaps again."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from devsynthd.scheduling.turns import Place, Turns
from devsynthd.service.call import Call
from devsynthd.service.routing import Route, Routing, Wanted
from devsynthd.service.stages import CallStages
from devsynthd.upstream.base import Stages
from devsynthd.upstream.failures import ModelGone
from devsynthd.wire.errors import (
    Incomplete,
    ModelLoadFailed,
    ModelNotFound,
    NoModel,
    UpstreamError,
    UpstreamUnavailable,
)

RETRY_PAUSE_S = 0.5
"""Between a model that went away under a request and the second try: it may be loading again."""

T = TypeVar("T")

Question: TypeAlias = Callable[[Route, Stages], Awaitable[T]]
"""Asks the upstream of a route, and tells it how far that is."""


class Asking:
    """Gives each request its place in the queue, and what it wants to be answered by.

    *queue_moved* is called whenever one comes, goes or has its turn.
    """

    def __init__(
        self, routing: Routing, turns: Turns, queue_moved: Callable[[], None] = lambda: None
    ) -> None:
        self._routing, self._turns = routing, turns
        self._queue_moved = queue_moved

    async def ask(
        self,
        call: Call,
        wanted: Wanted,
        question: Question[T],
        *,
        wait_s: float = 0,
        background: bool = False,
    ) -> T:
        """Return the answer to *question*, which is called when it is the turn of *call*.

        It is called a second time, at most, if nothing of the answer had come and the reason is
        known to pass: the model went away under it, or the upstream was not there and now is, or
        the embedded engine may stand in for it.

        Raises:
            DevsynthError: As *question* does; ``queue_full``; nobody can answer.
        """
        call.model = self._routing.expected(wanted)
        wait_until = call.ledger.received_at + wait_s
        try:
            async with self._turns.place(
                call.client,
                call,
                size_bytes=call.size_bytes,
                background=background,
                model=call.model if self._routing.reachable else None,
                moved=call.moved if call.wants_progress else None,
            ) as place:
                self._waits(call)
                return await self._in_place(place, call, wanted, wait_until, question)
        finally:
            self._queue_moved()

    async def _in_place(
        self,
        place: Place,
        call: Call,
        wanted: Wanted,
        wait_until: float,
        question: Question[T],
    ) -> T:
        route = await self._routing.find(wanted, wait_until)
        try:
            return await self._in_turn(place, call, wanted, route, wait_until, question)
        except ModelGone:
            self._requeue(call, place)
            await asyncio.sleep(RETRY_PAUSE_S)
            route = await self._routing.find(wanted, wait_until)
        except UpstreamUnavailable as exc:
            if route.fallback:
                raise
            self._requeue(call, place)
            route = await self._routing.find_again(wanted, wait_until, exc)
        return await self._in_turn(place, call, wanted, route, wait_until, question)

    async def _in_turn(
        self,
        place: Place,
        call: Call,
        wanted: Wanted,
        route: Route,
        wait_until: float,
        question: Question[T],
    ) -> T:
        while True:
            if call.model != route.model:
                call.model = route.model
                call.changed()
            async with place.turn(route.model):
                self._queue_moved()
                # Other settings may have come into force while it waited.
                if (in_use := self._routing.use(route)) is not None:
                    with in_use:
                        return await self._asked(call, question, route)
            route = await self._routing.find(wanted, wait_until)

    async def _asked(self, call: Call, question: Question[T], route: Route) -> T:
        loads = self._routing.is_unloaded(route)
        try:
            answer = await question(route, CallStages(call, loads=loads))
        except ModelGone:
            # Before the next one has its turn: it may go to an instance that is no more.
            await self._routing.look_again()
            raise
        except (UpstreamError, ModelNotFound, NoModel, ModelLoadFailed, Incomplete):
            self._routing.outdated()  # it is not as the list says
            raise
        if loads:
            self._routing.outdated()  # another one may have gone for it
        return answer

    def _requeue(self, call: Call, place: Place) -> None:
        """Have *call* wait again: its turn ended without an answer."""
        place.wait_again()
        call.ledger.returned()
        self._waits(call)

    def _waits(self, call: Call) -> None:
        call.state = "queued"  # if the client wants to know its place, the queue tells it
        call.changed()
        self._queue_moved()
