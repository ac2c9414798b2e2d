"""``load``, ``unload`` and ``download``: explicit only, nothing else ever loads a model."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.choice import require_listed
from devsynthd.catalog.poller import Poller
from devsynthd.service.call import Call
from devsynthd.upstream.base import Job, Manager
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.errors import BadRequest, DevsynthError, NotSupported, UpstreamError
from devsynthd.wire.objects import Model, Provider
from devsynthd.wire.requests import Download, Load, Unload
from devsynthd.wire.results import DownloadOutcome, LoadOutcome, UnloadOutcome

logger = logging.getLogger(__name__)

WATCH_S = 1.0  # between two looks at a download

_UNMANAGED: dict[Provider, str] = {
    "lmstudio": "LM Studio can since version 0.4.0; in an older one, use its own window.",
    "openai": "Only LM Studio has, since version 0.4.0: use what that server has for it.",
    "embedded": "It has one model, the file of embedded_model_path, and loads it by itself when a"
    " request needs it.",
}
"""What to do about an upstream that cannot load, unload or download."""

_UNDER_WAY = "downloading"
_FAILED = "failed"


class ManagingService:
    """Has the upstream load and unload models, one thing at a time for each model."""

    def __init__(
        self, upstreams: Upstreams, catalog: Catalog, poller: Poller, tasks: asyncio.TaskGroup
    ) -> None:
        self._upstreams, self._catalog, self._poller = upstreams, catalog, poller
        self._tasks = tasks
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def load(self, request: Load, call: Call) -> LoadOutcome:
        """Load a model unless it is loaded already.

        Every load makes another instance, so the list is looked at first, and what was begun is
        finished even if the client leaves: a second try must find it.
        """
        if request.progress:
            call.progress(None)
        outcome = await asyncio.shield(self._tasks.create_task(self._settled(request, call)))
        if isinstance(outcome, DevsynthError):
            raise outcome
        return outcome

    async def _settled(self, request: Load, call: Call) -> LoadOutcome | DevsynthError:
        """Return what comes of it: nobody may be left to take an exception."""
        try:
            return await self._load(request, call)
        except DevsynthError as exc:
            return exc

    async def _load(self, request: Load, call: Call) -> LoadOutcome:
        async with self._lock(request.model), self._manager() as manager:
            model = self._listed(request.model)
            length = None if request.context_length is None else int(request.context_length)
            if model.loaded:
                return _already_loaded(model, length)
            try:
                instance = await manager.load(model.id, length)
            finally:
                await self._poller.refresh_anew()
        if length is not None and (instance.context_length or length) < length:
            logger.warning(
                "%s was loaded with a context of %s tokens, not the %d asked for",
                model.id,
                instance.context_length,
                length,
                extra={"fields": call.fields},
            )
        return LoadOutcome(
            model=model.id, instance_id=instance.id, load_time_s=instance.load_time_s
        )

    async def unload(self, request: Unload) -> UnloadOutcome:
        """Unload one instance, or all those of a model."""
        async with self._lock(request.model), self._manager() as manager:
            model = self._listed(request.model)
            ids = [instance.id for instance in model.instances]
            if request.model != model.id:
                ids = [request.model]
            try:
                for instance_id in ids:
                    await manager.unload(instance_id)
            finally:
                await self._poller.refresh_anew()
        return UnloadOutcome(model=model.id, instance_ids=tuple(ids))

    async def download(self, request: Download, call: Call) -> DownloadOutcome:
        """Download a model and wait until it is there, or until somebody pauses it."""
        async with self._manager() as manager:
            job = await manager.download(request.model, request.quantization)
            while job.status == _UNDER_WAY and job.id is not None:
                if request.progress:
                    call.progress(_fraction(job))
                await asyncio.sleep(WATCH_S)
                job = await manager.job(job.id)
        if job.status == _FAILED:
            raise UpstreamError(
                f"{self._catalog.origin.address} could not download {request.model}:"
                f" {job.reason or 'no reason given'}",
                hint="Check the name, the space on the disk and the network; LM Studio's downloads"
                " show more.",
            )
        await self._poller.refresh_anew()
        return DownloadOutcome(model=request.model, status=job.status, size_bytes=job.size_bytes)

    def _lock(self, name: str) -> asyncio.Lock:
        """Return the lock that whoever works on *name* holds."""
        lock = self._locks.get(name)
        if lock is None:
            lock = self._locks[name] = asyncio.Lock()
        return lock

    def _listed(self, name: str) -> Model:
        """Return the model that *name* or its instance belongs to.

        Raises:
            ModelNotFound: There is none.
        """
        models = self._catalog.view.models or ()
        return require_listed(name, models, self._catalog.origin.address)

    @asynccontextmanager
    async def _manager(self) -> AsyncIterator[Manager]:
        """Give what manages models at the upstream, whose list has just been fetched.

        Raises:
            DevsynthError: The upstream does not answer, or cannot manage models.
        """
        await self._poller.refresh()
        if self._catalog.error is not None:
            raise self._catalog.error
        upstream = self._upstreams.current
        if upstream.manager is None:
            raise NotSupported(
                f"{self._catalog.origin.address} has no way to load, unload or download models",
                hint=_UNMANAGED[self._catalog.origin.provider],
            )
        with self._upstreams.use(upstream):
            yield upstream.manager


def _already_loaded(model: Model, context_length: int | None) -> LoadOutcome:
    """Return the instance of *model* that fits.

    Raises:
        BadRequest: It is loaded with another context length.
    """
    for instance in model.instances:
        if context_length in (None, instance.context_length):
            return LoadOutcome(model=model.id, instance_id=instance.id, load_time_s=0)
    raise BadRequest(
        f"{model.id} is loaded with a context of {model.context_length} tokens,"
        f" not {context_length}",
        hint=f"unload it first: devsynthctl unload {model.id}",
    )


def _fraction(job: Job) -> float | None:
    if not job.size_bytes or job.downloaded_bytes is None:
        return None
    return min(1.0, job.downloaded_bytes / job.size_bytes)
