"""The embedded engine, seen from the daemon: a process that is there while it is needed."""

import asyncio
import contextlib
import logging
import secrets
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from msgspec import Struct

from devsynthd.upstream import engine_process
from devsynthd.upstream.engine_child import Child, run_child
from devsynthd.wire.errors import (
    DevsynthError,
    ModelLoadFailed,
    UpstreamTimeout,
    UpstreamUnavailable,
)

logger = logging.getLogger(__name__)

COMMAND = (sys.executable, "-P", engine_process.__file__)
"""The child. -P: its own folder, full of our modules' names, is no place to import from."""


MODEL_NAME = "local_model"
"""What the child calls its one model; clients may know it by another name."""


class EngineConfig(Struct, frozen=True):
    """What to run: *context_length* is in tokens, *threads* 0 means as many as cores."""

    model_path: Path
    context_length: int
    threads: int


class Endpoint(Struct, frozen=True):
    """Where the engine answers as an OpenAI-compatible API, such as http://127.0.0.1:41234/v1."""

    base_url: str
    api_key: str

    def __repr__(self) -> str:
        return f"Endpoint(base_url={self.base_url!r}, api_key='********')"


class Engine:
    """Runs llama.cpp in a child process while somebody needs it.

    *config* null: there is nothing to run, and nobody may need it. All of it happens on one event
    loop; *on_change* is called there whenever ``running`` changed.
    """

    def __init__(
        self,
        config: EngineConfig | None,
        *,
        idle_timeout_s: float,
        on_change: Callable[[], None] = lambda: None,
        start_timeout_s: float = 300.0,
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._config = self._wanted = config
        self._command = command
        self._idle_timeout_s, self._start_timeout_s = idle_timeout_s, start_timeout_s
        self._on_change = on_change
        self._run: _Run | None = None
        self._tasks: dict[_Run, asyncio.Task[None]] = {}  # those that are ending included
        self._leases = 0
        self._idle_timer: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        """Whether it answers now."""
        return self._run is not None and self._run.answering

    @property
    def config(self) -> EngineConfig | None:
        """What it runs, now or from its next start on."""
        return self._config

    @property
    def pid(self) -> int | None:
        """The process that answers, or that loads the model in order to."""
        return self._run.pid if self._run else None

    @contextlib.asynccontextmanager
    async def lease(self) -> AsyncIterator[Endpoint]:
        """Start the engine if need be, and keep it while inside.

        Many wait for the same start, and one that is cancelled leaves it to the others. The time
        without use counts from the moment when the last one leaves.

        Raises:
            ModelLoadFailed: The engine is not installed, or it cannot load the model.
            UpstreamTimeout: It takes too long to load the model.
            UpstreamUnavailable: ``stop`` was called meanwhile.
        """
        self._leases += 1
        self._cancel_idle_timer()
        try:
            yield await self._endpoint()
        finally:
            self._leases -= 1
            if not self._leases:
                self._idle()

    def configure(self, config: EngineConfig | None, *, idle_timeout_s: float) -> None:
        """Run *config* from now on, or nothing; who uses the engine finishes with what it has."""
        is_same = (config, idle_timeout_s) == (self._wanted, self._idle_timeout_s)
        self._wanted, self._idle_timeout_s = config, idle_timeout_s
        if not self._leases and not is_same:
            self._idle()

    async def stop(self) -> None:
        """End the child process, whoever still uses it, and wait until it is gone.

        May be called again, and takes seconds at most: what does not end when told to is killed.
        A later lease starts the engine anew.
        """
        self._cancel_idle_timer()
        self._end_run()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    def _idle(self) -> None:
        """Take up another configuration, or count the time without use from now on."""
        self._cancel_idle_timer()
        if self._wanted != self._config:
            self._config = self._wanted
            self._end_run()
        elif self._run is not None:
            loop = asyncio.get_running_loop()
            self._idle_timer = loop.call_later(self._idle_timeout_s, self._end_run)

    def _cancel_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def _endpoint(self) -> Awaitable[Endpoint]:
        if self._run is None:
            self._run = run = _Run()
            self._tasks[run] = asyncio.create_task(self._live(run))
            self._tasks[run].add_done_callback(lambda _: self._tasks.pop(run))
        # Shielded, for a cancelled waiter would cancel what all the others wait for.
        return asyncio.shield(self._run.ready)

    def _end_run(self) -> None:
        """Have the child ended; whoever needs the engine from now on gets a new one."""
        if (run := self._run) is not None:
            self._tasks[run].cancel()
            self._forget(run)

    def _forget(self, run: "_Run") -> None:
        run.fail(UpstreamUnavailable("the embedded engine was stopped while it started"))
        if self._run is run:
            self._run = None
            if run.answering:
                self._on_change()

    async def _live(self, run: "_Run") -> None:
        """Run one child until it ends by itself, or until this task is cancelled."""
        try:
            async with run_child(self._command) as child:
                run.pid = child.pid
                run.ready.set_result(await self._load(child))
                run.answering = True
                self._on_change()
                how = await child.ended()
            logger.warning(
                "the embedded engine (pid %d) died: %s; the next need starts it again",
                child.pid,
                how,
            )
        except DevsynthError as exc:
            run.fail(exc)
        finally:
            self._forget(run)

    async def _load(self, child: Child) -> Endpoint:
        config, api_key = self._config, secrets.token_urlsafe(32)
        if config is None:
            raise ModelLoadFailed(
                "the embedded engine is switched off", hint="embedded_enabled switches it on"
            )
        order = engine_process.Order(
            model_path=str(config.model_path),
            alias=MODEL_NAME,
            context_length=config.context_length,
            threads=config.threads,
            api_key=api_key,
        )
        try:
            async with asyncio.timeout(self._start_timeout_s):
                port = await child.load(order)
        except TimeoutError:
            raise UpstreamTimeout(
                f"the embedded engine did not load {config.model_path} "
                f"within {self._start_timeout_s:g} s",
                hint="The machine may be busy, or embedded_model_path too large a model for it.",
            ) from None
        return Endpoint(f"http://{engine_process.HOST}:{port}/v1", api_key)


class _Run:
    """What is known of one child: who waits for it, and whether it answers."""

    def __init__(self) -> None:
        self.ready: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        self.pid: int | None = None
        self.answering = False

    def fail(self, exc: DevsynthError) -> None:
        """Tell whoever waits, unless it is known already how the start went."""
        if not self.ready.done():
            self.ready.set_exception(exc)
            self.ready.exception()  # seen: there may be nobody left who waits
