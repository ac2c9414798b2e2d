"""The daemon: builds the rooms, wires them, starts, drains and stops them."""

import asyncio
import logging
import os
import secrets
import sys
from collections.abc import Callable

from devsynthd.assembly import (
    defaults_of,
    engine_config,
    make_stand_in,
    make_upstream,
    origin_of,
    pace_of,
    wishes_of,
)
from devsynthd.catalog.cache import Cache
from devsynthd.catalog.catalog import Catalog
from devsynthd.catalog.keeper import Keeper, recall
from devsynthd.catalog.poller import Poller, Presence
from devsynthd.changes import Changes
from devsynthd.host.limits import resident_bytes
from devsynthd.host.notify import Notifier
from devsynthd.host.redaction import Redaction
from devsynthd.host.spare_memory import SpareMemory
from devsynthd.host.threads import Threads
from devsynthd.plan import Plan
from devsynthd.scheduling.turns import Turns
from devsynthd.self_check import INTERVAL_S, PER_WATCHDOG, SelfCheck, SocketLost
from devsynthd.service.answer import Answers
from devsynthd.service.asking import Asking
from devsynthd.service.call import Call
from devsynthd.service.embedding import EmbeddingService
from devsynthd.service.events import Events
from devsynthd.service.generation import GenerationService
from devsynthd.service.log_lines import LogLines
from devsynthd.service.managing import ManagingService
from devsynthd.service.models import ModelsService
from devsynthd.service.reception import Reception
from devsynthd.service.register import Register
from devsynthd.service.request_news import RequestNews
from devsynthd.service.routing import Routing
from devsynthd.service.settings import SettingsService
from devsynthd.service.status import Identity, StatusService, Tally
from devsynthd.service.subscribing import SubscribingService
from devsynthd.service.summary import summary
from devsynthd.settings.configuration import Configuration, Prepared
from devsynthd.settings.schema import Settings
from devsynthd.settings.watcher import watch
from devsynthd.transport.claim import Claim, ClaimRefused
from devsynthd.transport.router import SILENCE_S, Router
from devsynthd.upstream.engine import Engine
from devsynthd.upstream.upstreams import Upstreams
from devsynthd.wire.events import RequestsNews
from devsynthd.wire.limits import MAX_BODY_BYTES, MAX_MESSAGE_BYTES

logger = logging.getLogger(__name__)

# Threads that parse lists and vectors hold the interpreter's lock for this long at most before the
# event loop has its turn again; the default of 5 ms shows in answers that run beside embeddings.
SWITCH_INTERVAL_S = 0.0005
FILE_THREADS = 4
CLEAN_UP_S = 15.0  # what the end may take besides the grace


class Daemon:
    """One run of the daemon.

    *ready* is called when the socket listens, *set_up_logging* when the settings for it change;
    *notifier* tells the service manager how it does, and *redaction* learns what is not logged.
    """

    def __init__(
        self,
        plan: Plan,
        ready: Callable[[], None] = lambda: None,
        set_up_logging: Callable[[Settings], None] = lambda _: None,
        notifier: Notifier | None = None,
        redaction: Redaction | None = None,
    ) -> None:
        self._plan, self._ready, self._set_up_logging = plan, ready, set_up_logging
        self._notifier = notifier or Notifier({})
        self._redaction = redaction or Redaction()
        self._redaction.learn(plan.prepared.loaded.settings.llm_api_key)
        self._instance = secrets.token_hex(8)
        self._memory = SpareMemory()
        self._configuration = Configuration(plan.source, plan.file, plan.prepared, self._adopt)
        self._configuration.reloading = self._notifier.reloading
        self._changes: Changes  # made with the rooms, and not needed before
        self._reload = asyncio.Event()
        self._stopping = asyncio.Event()
        self._grace_s, self._silence_s = 0.0, SILENCE_S
        self._draining: Reception | None = None
        self._fault: BaseException | None = None

    def stop(self, grace_s: float | None = None, *, silence_s: float = SILENCE_S) -> None:
        """Drain and end (on the event loop); *grace_s* overrides the setting.

        Nothing must have come for *silence_s* before the socket is closed; without clients it may
        be 0. Said again, it can bring the end nearer.
        """
        if grace_s is None:
            grace_s = self._configuration.settings.daemon_shutdown_grace
        if not self._stopping.is_set():
            self._grace_s, self._silence_s = grace_s, silence_s
            self._stopping.set()
        elif self._draining is None:
            self._grace_s = min(self._grace_s, grace_s)
        else:
            self._draining.hasten(grace_s)

    def reload(self) -> None:
        """Have the config file read again (on the event loop)."""
        self._reload.set()

    async def run(self) -> None:
        """Serve until ``stop``, then let what runs finish.

        Raises:
            ClaimRefused: The socket cannot be had.
            SocketLost: It was had, and is another's now.
        """
        sys.setswitchinterval(SWITCH_INTERVAL_S)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._broken)
        # Its first thread is started while there are some: a file can be read and written then.
        loop.set_default_executor(Threads(FILE_THREADS, thread_name_prefix="files").started())
        with Claim(self._plan.address.path, inherited=self._plan.listen_fd) as claim:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(claim, tasks)
        if self._fault is not None:
            raise self._fault

    async def _serve(self, claim: Claim, tasks: asyncio.TaskGroup) -> None:
        plan, prepared, path = self._plan, self._plan.prepared, self._plan.address.path
        settings = self._configuration.settings
        wake = asyncio.Event()
        engine = Engine(
            engine_config(prepared),
            idle_timeout_s=settings.embedded_idle_timeout,
            on_change=wake.set,
        )
        stand_in = make_stand_in(prepared, engine)
        upstreams = Upstreams(make_upstream(settings, stand_in), stand_in, tasks)
        cache = Cache(plan.cache_dir, plan.disk)
        catalog = Catalog(
            origin_of(settings),
            wishes_of(settings, selected=None),
            engine=stand_in is not None,
            generation=cache.highest_generation() + 1,
        )
        recall(catalog, cache.read(catalog.origin))
        poller = Poller(upstreams, catalog, pace_of(settings), Presence(), tasks, wake)
        keeper = Keeper(catalog, cache)
        turns = Turns(
            settings.daemon_max_concurrency,
            settings.daemon_queue_limit,
            slots=catalog.slots,
            lane_of=catalog.lane,
        )
        self._changes = Changes(
            engine, upstreams, catalog, cache, poller, turns, self._set_up_logging
        )
        reception = self._reception(catalog, poller, upstreams, turns, tasks)
        router = Router(
            reception,
            max_message_bytes=MAX_MESSAGE_BYTES,
            max_body_bytes=MAX_BODY_BYTES,
            stall_s=plan.stall_s,
        )
        check = SelfCheck(router, self._instance)
        background = [
            tasks.create_task(each)
            for each in (
                self._configuration.run(),
                poller.run(),
                keeper.run(),
                watch(plan.source.path, self._configuration.look),
                self._reload_when_told(),
                self._serve_when_found(check),
            )
        ]
        try:
            try:
                router.serve(plan.address.endpoint, claim.listen())
            except ClaimRefused as exc:
                self._fault = exc
                return
            except OSError as exc:
                self._fault = ClaimRefused(f"cannot listen on {path}: {exc.strerror}")
                return
            logger.info("listening on %s", path)
            self._ready()
            await self._stopping.wait()
            logger.info("draining: what runs has %g s to finish", self._grace_s)
            self._notifier.stopping(self._grace_s + CLEAN_UP_S)
            self._draining = reception
            await reception.drain(self._grace_s, router.flushed)
            await router.fall_silent(self._silence_s)
        finally:
            for task in background:
                task.cancel()
            await asyncio.wait(background)  # one may have a socket open that the router waits for
            poller.close()
            self._memory.close()
            router.close()
            await upstreams.close()
            await engine.stop()
            keeper.flush()
            logger.info("stopped")

    def _reception(
        self,
        catalog: Catalog,
        poller: Poller,
        upstreams: Upstreams,
        turns: Turns,
        tasks: asyncio.TaskGroup,
    ) -> Reception:
        configuration = self._configuration
        register, tally = Register(), Tally()
        models = ModelsService(catalog, poller, configuration)
        events, requests = self._events(catalog, models, register, turns)
        routing = Routing(
            upstreams,
            catalog,
            poller,
            connect_timeout_s=lambda: configuration.settings.llm_connect_timeout,
        )
        asking = Asking(routing, turns, requests.queue_moved)
        answers = Answers(
            StatusService(
                Identity(self._instance, str(self._plan.address.path)),
                catalog,
                tally,
                turns,
                config=configuration.status,
                resident_bytes=resident_bytes,
            ),
            models,
            GenerationService(asking, routing, tally, lambda: defaults_of(configuration.settings)),
            EmbeddingService(asking),
            ManagingService(upstreams, catalog, poller, tasks),
            SettingsService(configuration, catalog),
            SubscribingService(events, register),
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

    def _events(
        self, catalog: Catalog, models: ModelsService, register: Register, turns: Turns
    ) -> tuple[Events, RequestNews]:
        """Return who passes events on, and have it told of all that there are events of."""
        configuration = self._configuration

        def requests_now() -> RequestsNews:
            return requests.now()

        events = Events(
            {
                "models": models.current,
                "upstream": catalog.source,
                "config": configuration.news,
                "requests": requests_now,
            },
            LogLines(self._redaction),
        )
        requests = RequestNews(events, register, turns.position)

        def tell_manager() -> None:
            view = catalog.view
            self._notifier.status(summary(catalog.source(), view.models, view.selection))

        def models_changed() -> None:
            turns.look_anew()
            events.outdated("models")
            tell_manager()

        def source_changed() -> None:
            events.outdated("upstream")
            tell_manager()

        def request_changed(call: Call) -> None:
            self._memory.used()
            requests.changed(call)

        register.on_change = request_changed
        catalog.on_change, catalog.on_source_change = models_changed, source_changed
        configuration.on_change = lambda keys: events.publish("config", configuration.news(keys))
        return events, requests

    async def _adopt(self, before: Prepared, now: Prepared) -> None:
        self._redaction.learn(now.loaded.settings.llm_api_key)  # before anybody can use it
        await self._changes.adopt(before, now)

    async def _serve_when_found(self, check: SelfCheck) -> None:
        """Be ready once clients reach the socket; end when they no longer do."""
        interval_s = INTERVAL_S
        if self._notifier.watchdog_s is not None:
            interval_s = self._notifier.watchdog_s / PER_WATCHDOG
        try:
            await check.once()
            self._notifier.ready()
            await check.run(interval_s, self._notifier.alive)
        except SocketLost as exc:
            logger.error("clients no longer reach this daemon: %s", exc)  # noqa: TRY400 - no bug
            self._fault = exc
            self.stop()

    async def _reload_when_told(self) -> None:
        """Reload once for all times that ``reload`` was called meanwhile."""
        while True:
            await self._reload.wait()
            self._reload.clear()
            await self._configuration.look(anyway=True)

    def _broken(self, loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """End the daemon after a fault of the event loop: the service manager starts it anew."""
        loop.default_exception_handler(context)
        fault = context.get("exception")
        if "handle" in context and isinstance(fault, BaseException):
            self._fault = fault
            self.stop(0.0)
