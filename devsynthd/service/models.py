"""``list`` and ``select``: the models, and which one answers when none is named."""

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any

from msgspec import Raw
from msgspec.structs import replace

from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.choice import is_listed, require_listed
from devsynthd.catalog.poller import Poller
from devsynthd.service.call import Call
from devsynthd.settings.configuration import Configuration
from devsynthd.settings.report import CHOSEN_AUTOMATICALLY, hider
from devsynthd.settings.schema import BY_KEY
from devsynthd.settings.sources import Loaded
from devsynthd.wire.codec import Encoding, packed
from devsynthd.wire.errors import ConfigInvalid, UpstreamUnavailable
from devsynthd.wire.objects import Model, Warn
from devsynthd.wire.requests import List, Select, Value
from devsynthd.wire.results import Models, PackedModels, Selected

IDLE_REFRESH_S = 1.0

_ALL = List(id=0)

Listed = Models | PackedModels


class ModelsService:
    """Answers from the catalog, and has it refreshed where the request or its age asks for it."""

    def __init__(self, catalog: Catalog, poller: Poller, configuration: Configuration) -> None:
        self._catalog, self._poller = catalog, poller
        self._configuration = configuration
        self._packed: dict[Encoding, tuple[int, Raw]] = {}  # of the generation that is told

    # list ----------------------------------------------------------------------------------

    def list(self, request: List, call: Call) -> Listed | Coroutine[Any, Any, Listed]:
        """Return the list at once if what is known will do, else the work that gets it."""
        if request.since is not None:
            return self._changed_list(request, call)
        if self._needs_refresh(request):
            return self._refreshed_list(request, call)
        if not self._catalog.reachable:
            self._poller.probe_soon()
        return self._answer(request, call)

    def _needs_refresh(self, request: List) -> bool:
        age_s = self._catalog.age_s
        if request.refresh or (request.max_age is not None and (age_s or 0) > request.max_age):
            return True
        if age_s is None:
            return not self._poller.has_polled or not self._catalog.reachable
        return self._poller.is_late and self._catalog.reachable

    async def _refreshed_list(self, request: List, call: Call) -> Listed:
        if request.refresh or request.max_age is not None:
            await self._poller.refresh()
        elif self._catalog.age_s is None:
            await self._poller.probe(self._configuration.settings.llm_connect_timeout)
        else:
            await self._poller.probe(IDLE_REFRESH_S)
        return self._answer(request, call)

    async def _changed_list(self, request: List, call: Call) -> Listed:
        """Return the list when its generation differs from ``since``, or as it is at the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(call.deadline):
                if request.refresh:
                    await self._poller.refresh()
                while self._catalog.generation == request.since:
                    await self._catalog.change()
        return self._answer(request, call)

    def _answer(self, request: List, call: Call) -> Listed:
        """Return what *request* asks for; the whole list is encoded once a generation."""
        catalog, models = self._catalog, self._catalog.view.models
        if models is None or request.loaded or request.kind is not None:
            return self._told(request)
        return PackedModels(
            generation=catalog.generation,
            models=self._in(call.envelope.encoding, models),
            selection=catalog.view.selection,
            source=catalog.source(),
            warnings=self._warnings(request),
        )

    def _in(self, encoding: Encoding, models: tuple[Model, ...]) -> Raw:
        generation, raw = self._packed.get(encoding, (None, None))
        if raw is None or generation != self._catalog.generation:
            raw = packed(models, encoding)
            self._packed[encoding] = self._catalog.generation, raw
        return raw

    def _told(self, request: List) -> Models:
        view = self._catalog.view
        models = (self._stand_in(),) if view.models is None else view.models
        return Models(
            generation=self._catalog.generation,
            models=filtered(models, request),
            selection=view.selection,
            source=self._catalog.source(),
            warnings=self._warnings(request),
        )

    def current(self) -> Models:
        """Return all that is known now, as ``list`` without conditions does."""
        return self._told(_ALL)

    def _stand_in(self) -> Model:
        name = self._catalog.wishes.stand_in
        return Model(id=name, name=name, selected=self._catalog.view.selection.model == name)

    def _warnings(self, request: List) -> tuple[Warn, ...]:
        catalog, models = self._catalog, self._catalog.view.models
        cause = str(catalog.error) if catalog.error else "the first answer is still awaited"
        if models is None:
            return (Warn("fallback", f"no models could be listed: {cause}"),)
        found = []
        if catalog.stale:
            found.append(Warn("stale", f"the list is {catalog.age_s or 0:.0f} s old: {cause}"))
        if request.loaded and any(model.loaded is None for model in models):
            found.append(Warn("state_unknown", "the upstream does not tell which are loaded"))
        if request.kind == "embedding" and any(model.kind == "unknown" for model in models):
            found.append(
                Warn("kind_unknown", "the upstream does not tell which are embedding models")
            )
        return tuple(found)

    # select --------------------------------------------------------------------------------

    def select(self, request: Select) -> Selected | Coroutine[Any, Any, Selected]:
        """Set which model answers from now on; one that is not known is looked for first."""
        is_known = request.model is None or request.force or self._lists(request.model)
        if is_known and not request.persist:
            return self._selected(request, self._catalog.wishes.named)
        return self._look_and_select(request, is_known=is_known)

    async def _look_and_select(self, request: Select, *, is_known: bool) -> Selected:
        if not is_known:
            await self._poller.probe(self._configuration.settings.llm_connect_timeout)
            self._require_listed(request.model or "")
        previous = self._catalog.wishes.named
        if not request.persist:
            return self._selected(request, previous)
        wanted = settings_of_selection(request.model)
        try:
            await self._configuration.write(lambda in_file: needed_edits(wanted, in_file))
        except ConfigInvalid as exc:
            warning = Warn("not_persisted", f"it holds until the daemon ends: {exc}")
            return self._selected(request, previous, warning)
        warnings = _hidden(wanted, self._configuration.loaded)
        return self._selected(request, previous, *warnings, persisted=True)

    def _selected(
        self, request: Select, previous: str | None, *warnings: Warn, persisted: bool = False
    ) -> Selected:
        """Put the selection in force: after what was written, which would end an older one."""
        catalog = self._catalog
        catalog.wish(replace(catalog.wishes, selected=request.model or CHOSEN_AUTOMATICALLY))
        if request.model is not None and not self._lists(request.model):
            warnings = (*warnings, Warn("not_listed", f"{request.model} is not in the list"))
        return Selected(
            selection=catalog.view.selection,
            previous=previous,
            persisted=persisted,
            warnings=warnings,
        )

    def _require_listed(self, name: str) -> None:
        models, catalog = self._catalog.view.models, self._catalog
        if models is None:
            raise catalog.error or UpstreamUnavailable(
                f"{catalog.origin.address} has not told its models yet",
                hint="try again, or select without the check: --force",
            )
        require_listed(name, models, catalog.origin.address)

    def _lists(self, name: str) -> bool:
        return is_listed(name, self._catalog.view.models or ())


def settings_of_selection(model: str | None) -> dict[str, Value]:
    """Return the settings with which *model* is selected after a restart; null: automatically."""
    if model is not None:
        return {"llm_model": model}
    return {"llm_model": "", "llm_auto_select_model": True}


def needed_edits(
    wanted: Mapping[str, Value], in_file: Mapping[str, Value]
) -> dict[str, Value | None]:
    """Return those of *wanted* that must be written; for what is not there the default will do."""
    return {
        key: value
        for key, value in wanted.items()
        if in_file.get(key, BY_KEY[key].default) != value
    }


def _hidden(wanted: Mapping[str, Value], loaded: Loaded) -> tuple[Warn, ...]:
    """Return a warning for each of *wanted* that something hides, although it is in the file."""
    return tuple(
        Warn(
            "env_override",
            f"it holds until the daemon ends; from the next start on {hider(key, loaded)} hides it",
        )
        for key, value in wanted.items()
        if loaded.sources[key] in ("env", "flag") and getattr(loaded.settings, key) != value
    )


def filtered(models: tuple[Model, ...], request: List) -> tuple[Model, ...]:
    """Return those of *models* that *request* asks for; kind ``llm`` includes unknown kinds."""
    kinds = {"llm": ("llm", "unknown"), "embedding": ("embedding",)}.get(request.kind or "")
    if kinds is None and not request.loaded:
        return models
    return tuple(
        model
        for model in models
        if (kinds is None or model.kind in kinds) and (not request.loaded or model.loaded)
    )
