"""Who answers a ``generate`` or an ``embed``: the upstream, or the engine in its place."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from msgspec import Struct

from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.choice import (
    answering_model,
    embedding_model,
    find_model,
    require_chats,
    require_embeds,
    require_listed,
)
from devsynthd.catalog.poller import FRESH_S, Poller
from devsynthd.upstream.base import Upstream
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.errors import DevsynthError, ModelNotFound, NoModel, UpstreamUnavailable
from devsynthd.wire.objects import Model


class Wanted(Struct, frozen=True, kw_only=True):
    """What a request says of who is to answer it.

    *model* null: it names none. *may_fall_back* says whether the embedded engine will do as well.
    """

    model: str | None
    embeds: bool = False
    may_fall_back: bool = True


class Route(Struct, frozen=True):
    """Which model of whom; *fallback* says that the embedded engine stands in."""

    upstream: Upstream
    model: str
    fallback: bool = False


class Routing:
    """Finds routes by what the catalog knows, and has it look again where that is not enough.

    *connect_timeout_s* is asked whenever it is needed: it can change.
    """

    def __init__(
        self,
        upstreams: Upstreams,
        catalog: Catalog,
        poller: Poller,
        *,
        connect_timeout_s: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._upstreams = upstreams
        self._catalog, self._poller = catalog, poller
        self._connect_timeout_s, self._clock = connect_timeout_s, clock

    async def find(self, wanted: Wanted, wait_until: float) -> Route:
        """Return who answers what is *wanted*; wait for an unreachable upstream until *wait_until*.

        Raises:
            DevsynthError: Nobody can: ``upstream_*``, ``no_model`` or ``model_not_found``.
        """
        while True:
            await self._await_upstream(wait_until)
            if not self._catalog.reachable:
                return self._fallback(wanted)
            upstream = self._upstreams.current
            try:
                model = await self._model(wanted)
            except DevsynthError:
                if upstream is self._upstreams.current:
                    raise
            else:
                if upstream is self._upstreams.current:
                    return Route(upstream, model)
            # Other settings came into force meanwhile: what was found is not of this upstream.

    async def find_again(
        self, wanted: Wanted, wait_until: float, failure: UpstreamUnavailable
    ) -> Route:
        """Return who answers instead, after the upstream went away unseen by the last poll.

        Raises:
            DevsynthError: Nobody does; *failure* itself where the upstream is there after all.
        """
        await self._poller.refresh()
        if self._catalog.reachable:
            raise failure
        return await self.find(wanted, wait_until)

    @property
    def reachable(self) -> bool:
        """Whether the upstream took the last poll."""
        return self._catalog.reachable

    def expected(self, wanted: Wanted) -> str | None:
        """Return the model that would answer now, as far as is known without asking anybody."""
        if wanted.model is not None or not self.reachable:
            return wanted.model
        if not wanted.embeds:
            return self._catalog.view.selection.model
        with contextlib.suppress(NoModel):
            return embedding_model(self._models(), self._catalog.origin.address)
        return None

    def use(self, route: Route) -> AbstractContextManager[None] | None:
        """Return what keeps whoever answers at *route* open; null if it answers no longer.

        Other settings may have come into force since it was found.
        """
        if route.upstream not in (self._upstreams.current, self._upstreams.stand_in):
            return None
        return self._upstreams.use(route.upstream)

    async def look_again(self) -> None:
        """Wait for a list that is asked for now."""
        await self._poller.refresh()

    def outdated(self) -> None:
        """Have the list refreshed: the upstream answered as if it were another one."""
        self._poller.refresh_anew_soon()

    def context_length(self, model: str) -> int | None:
        """Return the context of the loaded *model* in tokens, if it is known."""
        found = find_model(model, self._models())
        return found.context_length if found else None

    def is_unloaded(self, route: Route) -> bool:
        """Return whether the model of *route* is known not to be in memory."""
        model = find_model(route.model, self._models())
        return not route.fallback and model is not None and model.loaded is False

    async def _await_upstream(self, wait_until: float) -> None:
        if not self._catalog.reachable:
            await self._poller.probe(self._connect_timeout_s())
        while not self._catalog.reachable and (left_s := wait_until - self._clock()) > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(FRESH_S, left_s)):
                    await self._catalog.change()
            await self._poller.probe(min(self._connect_timeout_s(), left_s))

    async def _model(self, wanted: Wanted) -> str:
        address = self._catalog.origin.address
        if self._catalog.view.models is None and self._catalog.error:
            raise self._catalog.error
        if wanted.embeds and wanted.model is None:
            return embedding_model(self._models(), address)
        named = wanted.model or self._catalog.wishes.named
        if named is None:
            return answering_model(self._catalog.view.selection, address)
        try:
            model = require_listed(named, self._models(), address)
        except ModelNotFound:
            await self._poller.refresh()  # it may have been added since
            model = require_listed(named, self._models(), address)
        if wanted.embeds:
            require_embeds(model, named, self._models())
        else:
            require_chats(model, named)
        return named

    def _models(self) -> tuple[Model, ...]:
        return self._catalog.view.models or ()

    def _fallback(self, wanted: Wanted) -> Route:
        """Return the engine's route; a named model is never replaced by it."""
        name = self._catalog.wishes.stand_in
        named = wanted.model or self._catalog.wishes.named
        may_stand_in = wanted.may_fall_back and named in (None, name)
        # A server that is slow to answer the very first poll is not one that is not there.
        stand_in = self._upstreams.stand_in
        if stand_in and may_stand_in and self._poller.has_polled:
            return Route(stand_in, name, fallback=True)
        raise self._catalog.error or UpstreamUnavailable(
            f"{self._catalog.origin.address} has not answered yet",
            hint="try again, or give the request more time with `wait`",
        )
