"""The list of models, its age, and a number that grows whenever any of it changes."""

import asyncio
import logging
import time
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from devsynthd.catalog.choice import Wishes, lane_of, select
from devsynthd.host.clock import elapsed_s
from devsynthd.upstream.base import Listing
from devsynthd.wire.errors import DevsynthError, UpstreamUnavailable
from devsynthd.wire.objects import Failure, Model, Provider, Selection, Source

logger = logging.getLogger(__name__)


class Origin(Struct, frozen=True):
    """Whose list it is: one catalog, and one cache file, serve one origin."""

    provider: Provider
    api_base: str

    @property
    def address(self) -> str:
        """What the upstream is called in messages."""
        return "the embedded engine" if self.provider == "embedded" else self.api_base


class View(Struct, frozen=True):
    """All that ``generation`` counts the changes of. *models* null: there never was a list.

    *slots* is how many generations an instance gives at a time, where that is known.
    """

    models: tuple[Model, ...] | None
    reachable: bool
    selection: Selection
    slots: dict[str, int]


class Catalog:
    """What is known of one upstream's models. Replaced whole by each observation.

    *engine* says whether the embedded engine stands in while the upstream is not reachable;
    ``on_change`` is called after each growth of the generation, ``on_source_change`` whenever
    ``source`` tells something else, its times aside.
    """

    def __init__(
        self,
        origin: Origin,
        wishes: Wishes,
        *,
        engine: bool,
        generation: int,
        clock: Callable[[], float] = elapsed_s,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.origin, self.wishes, self.generation = origin, wishes, generation
        self.listing: Listing | None = None
        self.error: DevsynthError | None = None
        self.fetched_at: float | None = None
        self.failures = 0
        self.stale = True  # until this run has seen a list
        self.on_change: Callable[[], None] = lambda: None
        self.on_source_change: Callable[[], None] = lambda: None
        self._clock, self._wall = clock, wall
        self._engine = engine
        self._fetched_clock = 0.0
        self._reachable = False
        self._announced: bool | None = None  # the reachability that the log tells
        self._told = set[str]()  # the codes of the failures that it tells since then
        self._changed = asyncio.Event()
        self.view = self._look()
        self._timeless = self._timeless_source()

    # Observations --------------------------------------------------------------------------

    def recall(self, listing: Listing, fetched_at: float) -> None:
        """Take over what an earlier run observed, as a stale list."""
        self.listing, self.fetched_at = listing, fetched_at
        self._fetched_clock = self._clock() - max(0.0, self._wall() - fetched_at)
        self._update()

    def observe(self, listing: Listing) -> None:
        """Replace the list by a fresh one."""
        self.listing, self.fetched_at = listing, self._wall()
        self._fetched_clock = self._clock()
        self.error, self.failures, self.stale, self._reachable = None, 0, False, True
        if self._announced is not True:
            logger.info("%s is reachable: %d models", self.origin.address, len(listing.models))
        self._announced = True
        self._update()

    def fail(self, error: DevsynthError) -> None:
        """Note that the upstream could not be listed; the last good list stays, as a stale one."""
        self.error, self.stale = error, True
        self.failures += 1
        # A server that is slow to list may well be generating: only a refusal counts.
        self._reachable = not isinstance(error, UpstreamUnavailable)
        if self._announced is not False:
            self._told.clear()
            logger.warning("no model list: %s", error)
        elif error.code not in self._told:  # once each, however they take turns
            logger.info("still no model list: %s", error)
        self._told.add(error.code)
        self._announced = False
        self._update()

    # Changes -------------------------------------------------------------------------------

    def wish(self, wishes: Wishes) -> None:
        """Change what the user wants to answer."""
        self.wishes = wishes
        self._update()

    def allow_engine(self, *, engine: bool) -> None:
        """Change whether the embedded engine stands in."""
        self._engine = engine
        self._update()

    def retry(self) -> bool:
        """Forget how the last poll failed, since the next one is another; return whether it did."""
        if self.error is None:
            return False
        self.error, self.failures, self._reachable = None, 0, False
        self._update()
        return True

    def forgive(self) -> None:
        """Count failed polls anew: the machine slept, and what failed before tells nothing now."""
        self.failures = 0

    def move(self, origin: Origin) -> None:
        """Turn to another upstream, of which nothing is known yet."""
        self.origin, self.listing, self.error, self.fetched_at = origin, None, None, None
        self.failures, self.stale, self._reachable, self._announced = 0, True, False, None
        self._update()

    # Views ---------------------------------------------------------------------------------

    @property
    def reachable(self) -> bool:
        """Whether the upstream took the last poll, be it only to answer with an error."""
        return self._reachable

    @property
    def age_s(self) -> float | None:
        """Seconds since the list was fetched."""
        return None if self.fetched_at is None else self._clock() - self._fetched_clock

    def source(self) -> Source:
        """Return where the list comes from and how fresh it is."""
        error = self.error
        return Source(
            provider=self.origin.provider,
            api_base=self.origin.api_base,
            api=self.listing.api if self.listing else None,
            reachable=self._reachable,
            fetched_at=self.fetched_at,
            age_s=self.age_s,
            stale=self.stale,
            error=Failure(error.code, str(error)) if error else None,
        )

    def slots(self, instance_id: str) -> int | None:
        """Return how many generations that instance gives at a time, if it is known."""
        return self.view.slots.get(instance_id)

    def lane(self, model: str) -> str:
        """Return the instance that answers to *model* now, as far as is known."""
        return lane_of(model, self.view.models or ())

    async def change(self) -> None:
        """Wait until the generation grows."""
        await self._changed.wait()

    def _look(self) -> View:
        models = self.listing.models if self.listing else None
        selection = select(models, self.wishes, reachable=self._reachable, engine=self._engine)
        if models is not None:
            models = tuple(
                replace(model, selected=True) if model.id == selection.model else model
                for model in models
            )
        slots = self.listing.slots if self.listing else {}
        return View(models, self._reachable, selection, slots)

    def _timeless_source(self) -> Source:
        return replace(self.source(), fetched_at=None, age_s=None)

    def _update(self) -> None:
        view, source = self._look(), self._timeless_source()
        is_other_view, is_other_source = view != self.view, source != self._timeless
        self.view, self._timeless = view, source
        if is_other_view:
            self.generation += 1
            self._changed.set()
            self._changed = asyncio.Event()
            self.on_change()
        if is_other_source:
            self.on_source_change()
