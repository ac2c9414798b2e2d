"""LM Studio: whichever generation of its API the server speaks, also when that changes."""

import logging
import time
from collections.abc import Callable

from devsynthd.host.clock import elapsed_s
from devsynthd.upstream.base import Chat, Delta, Ending, Listing, Stages, Vectors
from devsynthd.upstream.chats import Chats
from devsynthd.upstream.embeddings import Embeddings
from devsynthd.upstream.entries import check_count
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import failure_of, loads
from devsynthd.upstream.fill_in import FillIn, is_llama_server
from devsynthd.upstream.http import Http, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.listings import listing_of
from devsynthd.upstream.lists import LIST_THREADS, Body, Lists
from devsynthd.upstream.lmstudio_lists import (
    Loaded,
    loaded_of_v0,
    models_of_v0,
    models_of_v1,
    slots_of_v1,
    with_loaded,
)
from devsynthd.upstream.lmstudio_manager import THREADS as MANAGER_THREADS
from devsynthd.upstream.lmstudio_manager import LMStudioManager
from devsynthd.upstream.recognition import (
    GREETING_PATH,
    NEWEST_FIRST,
    OPENAI,
    V0,
    V1,
    Route,
    Shape,
    routes_to_try,
    shape,
)
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import UpstreamError, UpstreamTimeout, UpstreamUnavailable
from devsynthd.wire.objects import Model

logger = logging.getLogger(__name__)

GREETING_S = 1.0
CROSS_CHECK_S = 60.0
RECOGNISE_AGAIN_S = 600.0
MIN_LOAD_S = 180.0


class LMStudioUpstream:
    """The server at *root*, its address without any API's path.

    Which generation it speaks is found out by GET only and remembered for as long as that route
    answers; generations and embeddings go to ``/v1``, which all of them serve. Without a *clock*,
    ages go on while the machine sleeps, and limits of time do not.

    Raises:
        ConfigInvalid: *root* or *api_key* cannot be used.
    """

    def __init__(
        self,
        root: str,
        *,
        api_key: str,
        timeouts: Timeouts,
        ca_bundle: str,
        max_threads: int,
        clock: Callable[[], float] | None = None,
    ) -> None:
        ages, clock = clock or elapsed_s, clock or time.monotonic
        self._http = Http(
            root,
            api_key=api_key,
            connect_s=timeouts.connect_s,
            ca_bundle=ca_bundle,
            max_connections=max_threads + LIST_THREADS + MANAGER_THREADS,
            clock=ages,
        )
        self._secrets = (api_key, *self._http.passwords)
        self._lists = Lists(
            self._http, list_s=timeouts.list_s, connect_s=timeouts.connect_s, clock=clock
        )
        self._exchanges = Exchanges(max_threads, name="upstream-chat")
        self._chats = Chats(
            self._http, "/v1", timeouts, self._exchanges, secrets=self._secrets, clock=clock
        )
        self._embeddings = Embeddings(
            self._http,
            "/v1/embeddings",
            timeouts,
            self._exchanges,
            secrets=self._secrets,
            clock=clock,
        )
        self._manager = LMStudioManager(
            self._http,
            connect_s=timeouts.connect_s,
            load_s=max(timeouts.first_token_s, MIN_LOAD_S),
            secrets=self._secrets,
        )
        self._clock = ages
        self._route: Route | None = None
        self._fill_in: FillIn | None = None
        self._recognised_at = 0.0
        self._loaded_by_v0: tuple[Loaded, ...] = ()
        self._checked_at: float | None = None

    @property
    def address(self) -> str:
        """Where it is, for messages: a URL without user, password or query."""
        return self._http.address

    @property
    def manager(self) -> LMStudioManager | None:
        """What loads, unloads and downloads models: LM Studio can since 0.4.0."""
        return self._manager if self._route is V1 else None

    async def models(self) -> Listing:
        """Return the models, in one request once the generation is known.

        Raises:
            DevsynthError: ``upstream_*``, as devsynthd.wire.errors says.
        """
        try:
            listing = await self._lists.run(self._list)
        except UpstreamUnavailable:
            self._route = self._fill_in = None  # who comes back may be another version
            raise
        # LM Studio is not known to honour a suffix, but it may be another server.
        is_llama = listing.api == "openai" and is_llama_server(listing.models)
        self._fill_in = FillIn.INFILL if is_llama else FillIn.NONE
        return listing

    async def chat(self, chat: Chat, relay: Relay[Delta], stages: Stages) -> Ending:
        """Put the deltas of the answer into *relay* as they come; return how it ended.

        Raises:
            DevsynthError: As ``Upstream.chat`` says.
        """
        if chat.suffix is not None and self._fill_in is None:
            await self.models()
        return await self._chats.chat(chat, relay, stages, self._fill_in)

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        """Return the vectors that *model* makes of *texts*.

        Raises:
            DevsynthError: As ``Upstream.embed`` says.
        """
        return await self._embeddings.embed(model, texts, stages)

    async def close(self) -> None:
        """Hang up on all that is under way and let go of threads and connections."""
        await self._lists.close()
        await self._manager.close()
        await self._exchanges.close()
        self._http.close()

    # On a thread of ``Lists`` --------------------------------------------------------------

    def _list(self, line: Line) -> Listing:
        route = self._route
        if route is None or self._is_due(route):
            return self._recognise(line)
        body = self._lists.get(route.path, line)
        if shape(route, body) is not Shape.MISSING:
            return self._listing(route, body, line)
        logger.info("%s no longer serves %s", self.address, route.path)
        return self._recognise(line)

    def _is_due(self, route: Route) -> bool:
        """Whether to look for something newer: an updated LM Studio serves the old route too."""
        return route is not V1 and self._clock() - self._recognised_at >= RECOGNISE_AGAIN_S

    def _recognise(self, line: Line) -> Listing:
        """Try the routes that the server may have, newest first, and remember which it has."""
        self._route = None
        self._loaded_by_v0, self._checked_at = (), None
        routes = self._routes(line)
        for route in routes:
            body = self._lists.get(route.path, line)
            found = shape(route, body)
            if found is Shape.MISSING and route is not OPENAI:
                continue
            if found is Shape.MISSING and len(routes) > 1:
                raise self._hidden(body)
            if found in (Shape.LIST, Shape.AUTH):
                self._route, self._recognised_at = route, self._clock()
                logger.info("%s speaks %s", self.address, route.api)
            return self._listing(route, body, line)
        raise AssertionError("the last route is always taken")

    def _routes(self, line: Line) -> tuple[Route, ...]:
        try:
            return routes_to_try(self._lists.get(GREETING_PATH, line, limit_s=GREETING_S))
        except UpstreamTimeout:
            return NEWEST_FIRST  # silence is no answer, and LM Studio may be busy

    def _hidden(self, body: Body) -> UpstreamError:
        """Return the error for an LM Studio that says it has no list, which all of them have."""
        failure = failure_of(
            body.status,
            body.content_type,
            body.data,
            address=self.address,
            secrets=self._secrets,
        )
        return UpstreamError(
            f"{self.address} is LM Studio, but shows its models at none of its addresses",
            hint="It may require authentication and hide that: set llm_api_key to one of its"
            " tokens.",
            details=failure.details,
        )

    def _listing(self, route: Route, body: Body, line: Line) -> Listing:
        """Return the list in *body*.

        Raises:
            DevsynthError: It is none, or too long a one.
        """
        if route is OPENAI or shape(route, body) is not Shape.LIST:
            return listing_of(
                body.status,
                body.content_type,
                body.data,
                address=self.address,
                secrets=self._secrets,
            )
        value = loads(body.data)
        check_count(value["data" if route is V0 else "models"], self.address)
        if route is V0:
            return Listing(route.api, models_of_v0(value))
        return Listing(route.api, self._checked(models_of_v1(value), line), slots_of_v1(value))

    def _checked(self, models: tuple[Model, ...], line: Line) -> tuple[Model, ...]:
        """Return *models* of v1, asking v0 too, once a minute, while v1 says that none is loaded.

        Some builds list no instance although a model is loaded, and v0 knows better.
        """
        if not models or any(model.loaded for model in models):
            self._loaded_by_v0, self._checked_at = (), None
            return models
        now = self._clock()
        if self._checked_at is None or now - self._checked_at >= CROSS_CHECK_S:
            self._checked_at = now
            body = self._lists.aside(V0.path, line)
            if shape(V0, body) is Shape.LIST:
                loaded = loaded_of_v0(loads(body.data))
                if loaded and not self._loaded_by_v0:
                    logger.warning("%s: v1 lists nothing as loaded, v0 does", self.address)
                self._loaded_by_v0 = loaded
        return with_loaded(models, self._loaded_by_v0)
