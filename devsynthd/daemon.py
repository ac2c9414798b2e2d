"""The daemon: builds the rooms, wires them, starts, drains and stops them."""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from devsynthd.catalog.cache import CacheFile
from devsynthd.catalog.catalog import Catalog, Origin
from devsynthd.catalog.choice import Wishes
from devsynthd.catalog.keeper import Keeper
from devsynthd.catalog.pace import Pace
from devsynthd.catalog.poller import Poller, Presence
from devsynthd.host.address import Address
from devsynthd.host.limits import resident_bytes
from devsynthd.host.paths import absolute
from devsynthd.scheduling.turns import Turns
from devsynthd.service.answer import Answers
from devsynthd.service.conversation import Defaults
from devsynthd.service.generation import GenerationService
from devsynthd.service.managing import ManagingService
from devsynthd.service.models import ModelsService
from devsynthd.service.reception import Reception
from devsynthd.service.register import Register
from devsynthd.service.routing import Routing
from devsynthd.service.status import Identity, StatusService, Tally
from devsynthd.settings.base_url import upstream_base
from devsynthd.settings.schema import Settings
from devsynthd.settings.sources import Loaded
from devsynthd.transport.claim import Claim
from devsynthd.transport.router import STALL_S, Router
from devsynthd.upstream.base import Upstream
from devsynthd.upstream.embedded import EmbeddedUpstream
from devsynthd.upstream.engine import Engine, EngineConfig
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.wire.limits import MAX_MESSAGE_BYTES
from devsynthd.wire.objects import ConfigStatus

logger = logging.getLogger(__name__)

# Threads that parse an answer hold the interpreter's lock for this long at most before the event
# loop has its turn again; the default of 5 ms shows in the time to the first token.
SWITCH_INTERVAL_S = 0.0005


class Plan(Struct, frozen=True, kw_only=True):
    """All that one run of the daemon is made from. *weights* null: there is no engine.

    A client that has not read for *stall_s* seconds loses what it asked for.
    """

    loaded: Loaded
    config_path: Path
    address: Address
    cache_dir: Path
    weights: Path | None
    warnings: tuple[str, ...] = ()
    stall_s: float = STALL_S


class Daemon:
    """One run of the daemon. *ready* is called when the socket answers."""

    def __init__(self, plan: Plan, ready: Callable[[], None] = lambda: None) -> None:
        self._plan, self._ready = plan, ready
        self._settings = plan.loaded.settings
        self._stopping = asyncio.Event()
        self._grace_s = self._settings.daemon_shutdown_grace
        self._draining: Reception | None = None
        self._fault: BaseException | None = None

    def stop(self, grace_s: float | None = None) -> None:
        """Drain and end (on the event loop); *grace_s* overrides the setting.

        Said again, it can bring the end nearer.
        """
        grace_s = self._settings.daemon_shutdown_grace if grace_s is None else grace_s
        if not self._stopping.is_set():
            self._grace_s = grace_s
            self._stopping.set()
        elif self._draining is None:
            self._grace_s = min(self._grace_s, grace_s)
        else:
            self._draining.hasten(grace_s)

    async def run(self) -> None:
        """Serve until ``stop``, then let what runs finish.

        Raises:
            ClaimRefused: The socket cannot be had.
        """
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        asyncio.get_running_loop().set_exception_handler(self._broken)
        with Claim(self._plan.address.path) as claim:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(claim, tasks)
        if self._fault is not None:
            raise self._fault

    async def _serve(self, claim: Claim, tasks: asyncio.TaskGroup) -> None:
        settings, plan = self._settings, self._plan
        wake = asyncio.Event()
        engine = self._engine(wake.set)
        upstream = engine if settings.llm_provider == "embedded" and engine else self._upstream()
        origin = Origin(settings.llm_provider, _api_base(settings))
        file = CacheFile(plan.cache_dir, origin)
        catalog = Catalog(
            origin,
            Wishes(
                selected=None,
                configured=settings.llm_model,
                auto=settings.llm_auto_select_model,
                stand_in=settings.llm_fallback_model,
            ),
            engine=engine is not None,
            generation=file.highest_generation() + 1,
        )
        if (cached := file.read()) and cached.listing and cached.fetched_at is not None:
            catalog.recall(cached.listing, cached.fetched_at)
        pace = Pace(settings.daemon_poll_interval, settings.daemon_idle_poll_interval)
        poller = Poller(upstream, catalog, pace, Presence(), tasks, wake)
        keeper = Keeper(catalog, file)
        reception = self._reception(catalog, poller, upstream, engine, tasks)
        router = Router(reception, max_message_bytes=MAX_MESSAGE_BYTES, stall_s=plan.stall_s)
        background = [tasks.create_task(poller.run()), tasks.create_task(keeper.run())]
        try:
            router.bind(plan.address.endpoint)
            claim.bound()
            logger.info("listening on %s", plan.address.path)
            self._ready()
            await self._stopping.wait()
            logger.info("draining: what runs has %g s to finish", self._grace_s)
            self._draining = reception
            await reception.drain(self._grace_s, router.flushed)
        finally:
            for task in background:
                task.cancel()
            poller.close()
            router.close()
            await upstream.close()
            if engine is not None:
                await engine.close()
            keeper.flush()
            logger.info("stopped")

    def _reception(
        self,
        catalog: Catalog,
        poller: Poller,
        upstream: Upstream,
        engine: Upstream | None,
        tasks: asyncio.TaskGroup,
    ) -> Reception:
        settings = self._settings
        register, tally = Register(), Tally()
        turns = Turns(settings.daemon_max_concurrency, settings.daemon_queue_limit)
        routing = Routing(
            upstream, engine, catalog, poller, connect_timeout_s=settings.llm_connect_timeout
        )
        defaults = Defaults(settings.llm_max_tokens, settings.llm_temperature)
        answers = Answers(
            StatusService(
                Identity(secrets.token_hex(8), str(self._plan.address.path)),
                catalog,
                tally,
                config=self._config_status,
                resident_bytes=resident_bytes,
            ),
            ModelsService(catalog, poller, connect_timeout_s=settings.llm_connect_timeout),
            GenerationService(routing, turns, tally, lambda: defaults),
            ManagingService(upstream, catalog, poller, tasks),
            turns,
            register,
            self.stop,
        )
        return Reception(
            answers,
            register,
            tally,
            tasks,
            users=frozenset({os.geteuid(), 0}),
            connected=poller.connected,
        )

    def _upstream(self) -> OpenAIUpstream | LMStudioUpstream:
        settings = self._settings
        kind = LMStudioUpstream if settings.llm_provider == "lmstudio" else OpenAIUpstream
        return kind(
            _api_base(settings),
            api_key=settings.llm_api_key,
            timeouts=self._timeouts(),
            ca_bundle=settings.llm_ca_bundle and str(absolute(settings.llm_ca_bundle)),
            max_threads=settings.daemon_max_concurrency,
        )

    def _engine(self, on_change: Callable[[], None]) -> EmbeddedUpstream | None:
        if self._plan.weights is None:
            return None
        settings = self._settings
        config = EngineConfig(
            model_path=self._plan.weights,
            alias=settings.llm_fallback_model,
            context_length=settings.embedded_context_length,
            threads=settings.embedded_threads,
        )
        engine = Engine(config, idle_timeout_s=settings.embedded_idle_timeout, on_change=on_change)
        return EmbeddedUpstream(
            engine,
            config,
            timeouts=self._timeouts(),
            max_threads=settings.daemon_max_concurrency,
        )

    def _timeouts(self) -> Timeouts:
        settings = self._settings
        return Timeouts(
            connect_s=settings.llm_connect_timeout,
            first_token_s=settings.llm_first_token_timeout,
            idle_s=settings.llm_idle_timeout,
        )

    def _config_status(self) -> ConfigStatus:
        loaded = self._plan.loaded
        return ConfigStatus(
            path=str(self._plan.config_path),
            exists=loaded.exists,
            config_generation=1,
            valid=True,
            error=None,
            overrides=loaded.overrides,
        )

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """End the daemon after a fault of the event loop: the service manager starts it anew."""
        loop.default_exception_handler(context)
        fault = context.get("exception")
        if "handle" in context and isinstance(fault, BaseException):
            self._fault = fault
            self.stop(0.0)


def _api_base(settings: Settings) -> str:
    """Return where the upstream is: LM Studio's root, or the base of an OpenAI-compatible API."""
    if settings.llm_provider == "embedded":
        return "embedded"
    return upstream_base(settings.llm_provider, settings.llm_api_base)
