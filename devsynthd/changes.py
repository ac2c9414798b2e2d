"""What a change of the settings does to the rooms, while they work."""

import asyncio
from collections.abc import Callable, Iterable

from devsynthd.assembly import (
    MAKES_AN_UPSTREAM,
    engine_config,
    make_stand_in,
    make_upstream,
    origin_of,
    pace_of,
    wishes_of,
)
from devsynthd.catalog.cache import Cache
from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.keeper import recall
from devsynthd.catalog.poller import Poller
from devsynthd.scheduling.turns import Turns
from devsynthd.settings.configuration import Prepared
from devsynthd.settings.report import keys_that_end
from devsynthd.settings.schema import BY_KEY, Settings
from devsynthd.settings.sources import Loaded
from devsynthd.upstream.base import Upstream
from devsynthd.upstream.engine import Engine
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.requests import Value


class Changes:
    """Puts new settings in force. What runs already keeps those that it was started with.

    *set_up_logging* is called when it has to be done anew.
    """

    def __init__(
        self,
        engine: Engine,
        upstreams: Upstreams,
        catalog: Catalog,
        cache: Cache,
        poller: Poller,
        turns: Turns,
        set_up_logging: Callable[[Settings], None],
    ) -> None:
        self._engine, self._upstreams = engine, upstreams
        self._catalog, self._cache, self._poller = catalog, cache, poller
        self._turns, self._set_up_logging = turns, set_up_logging

    async def adopt(self, before: Prepared, now: Prepared) -> None:
        """Put *now* in force in place of *before*.

        Raises:
            ConfigInvalid: An upstream cannot be made of it; nothing is changed then.
        """
        old, new = before.loaded.settings, now.loaded.settings
        upstream, stand_in = self._who_answers(before, now)
        origin = origin_of(new)
        has_moved = origin != origin_of(old)
        cached = await asyncio.to_thread(self._cache.read, origin) if has_moved else None
        # From here on it is one step: nobody sees a half of it.
        self._engine.configure(engine_config(now), idle_timeout_s=new.embedded_idle_timeout)
        self._turns.resize(new.daemon_max_concurrency, new.daemon_queue_limit)
        self._poller.pace = pace_of(new)
        is_other = upstream is not self._upstreams.current
        self._upstreams.replace(upstream, stand_in)
        if has_moved:
            self._catalog.move(origin)
            recall(self._catalog, cached)
        self._catalog.allow_engine(engine=stand_in is not None)
        selected = self._catalog.wishes.selected
        ends_it = keys_that_end(selected)
        if _in_file(before.loaded, ends_it) != _in_file(now.loaded, ends_it):
            selected = None
        self._catalog.wish(wishes_of(new, selected))
        if is_other:
            self._poller.restart(anew=self._catalog.retry() or has_moved)
        elif pace_of(new) != pace_of(old) or engine_config(now) != engine_config(before):
            self._poller.poll_soon()
        if _logging(new) != _logging(old):
            self._set_up_logging(new)

    def _who_answers(self, before: Prepared, now: Prepared) -> tuple[Upstream, Upstream | None]:
        """Return the upstream and its stand-in: those of *before* where they still will do."""
        old, new = before.loaded.settings, now.loaded.settings
        current, stand_in = self._upstreams.current, self._upstreams.stand_in
        is_same = all(getattr(old, key) == getattr(new, key) for key in MAKES_AN_UPSTREAM)
        if is_same and (before.weights is None) == (now.weights is None):
            return current, stand_in
        other = make_stand_in(now, self._engine)
        if is_same and new.llm_provider != "embedded":
            return current, other
        return make_upstream(new, other), other


def _in_file(loaded: Loaded, keys: Iterable[str]) -> list[Value]:
    return [loaded.in_file.get(key, BY_KEY[key].default) for key in keys]


def _logging(settings: Settings) -> tuple[str, str]:
    return settings.daemon_log_level, settings.daemon_log_format
