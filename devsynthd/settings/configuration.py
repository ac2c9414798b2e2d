"""The settings in force while the daemon runs: taken whole from the file, or not at all."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from devsynthd.settings.file import SETTLE_S
from devsynthd.settings.schema import BY_KEY, Settings
from devsynthd.settings.sources import Given, Loaded
from devsynthd.settings.values import show_value
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.events import ConfigNews
from devsynthd.wire.objects import ConfigStatus
from devsynthd.wire.requests import Value
from devsynthd.wire.text import named

logger = logging.getLogger(__name__)

T = TypeVar("T")

Edits = Mapping[str, Value | None]


class Prepared(Struct, frozen=True, kw_only=True):
    """Settings that were found good, with what the machine has for them.

    *weights* is the model file of the embedded engine; null where it may not answer.
    """

    loaded: Loaded
    weights: Path | None = None
    warnings: tuple[str, ...] = ()


class Sources(Protocol):
    """The config file, and what else has a say in the settings. Every method blocks."""

    @property
    def path(self) -> Path:
        """The config file."""

    def read(self) -> Given | None:
        """Return what the file says now; null: there is none."""

    def prepare(self, file: Given | None) -> Prepared:
        """Return the settings that hold where the file says *file*.

        Raises:
            ConfigInvalid: They are not allowed.
        """

    def write(self, edits: Edits, approve: Callable[[Given], object]) -> None:
        """Set and (null) unset *edits* in the file, if *approve* takes what it says then.

        Raises:
            ConfigInvalid: It cannot be written, or *approve* raises it.
        """


class _Job(Generic[T]):
    """One thing to do, and the future of what comes of it."""

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self.is_wanted = True
        self.done: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Do it."""
        try:
            self.done.set_result(await self._work())
        except Exception as exc:  # noqa: BLE001 - whoever waits for it takes it
            self.done.set_exception(exc)
            self.done.exception()  # seen: there may be nobody left who waits


class Configuration:
    """Holds the settings in force. All of it happens on one event loop, files are read on threads.

    What is asked of it is done by ``run``, so that what was read last is what is in force.
    ``on_change`` is told the keys whose values are others whenever ``news`` is another.
    ``reloading`` is entered while the file is read again because somebody said so.

    Args:
        sources: Where settings come from.
        file: What the file said when *prepared* was made from it.
        prepared: The settings that the daemon starts with.
        adopt: Puts the second settings in force in place of the first, and may still refuse them
            (ConfigInvalid) as long as it has changed nothing.
    """

    def __init__(
        self,
        sources: Sources,
        file: Given | None,
        prepared: Prepared,
        adopt: Callable[[Prepared, Prepared], Awaitable[None]],
    ) -> None:
        self._sources, self._file, self._prepared = sources, file, prepared
        self._adopt = adopt
        self._error: ConfigInvalid | None = None
        self._told: str | None = None  # the fault that was logged last
        self._jobs: asyncio.Queue[_Job[Any]] = asyncio.Queue()
        self.generation = 1
        self.on_change: Callable[[tuple[str, ...]], None] = lambda _: None
        self.reloading: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext

    @property
    def loaded(self) -> Loaded:
        """The settings in force and where they come from."""
        return self._prepared.loaded

    @property
    def settings(self) -> Settings:
        """The settings in force."""
        return self.loaded.settings

    def status(self) -> ConfigStatus:
        """Return how the file is."""
        return ConfigStatus(
            path=named(self._sources.path),
            exists=self.loaded.exists,
            config_generation=self.generation,
            valid=self._error is None,
            error=str(self._error) if self._error else None,
            overrides=self.loaded.overrides,
        )

    def news(self, changed: tuple[str, ...] = ()) -> ConfigNews:
        """Return how the file is, as an event tells it; *changed* are keys, never values."""
        status = self.status()
        return ConfigNews(
            config_generation=status.config_generation,
            changed=changed,
            valid=status.valid,
            error=status.error,
        )

    # What can be asked for ------------------------------------------------------------------

    async def look(self, *, anyway: bool = False) -> None:
        """Take over what the file says, if that is something else than at the last look.

        If it is not valid, the settings stay as they are; log and status say why, and each further
        look tries again, since a file that it names may have come.

        Args:
            anyway: Also if the file says the same: what it names may be another.
        """

        async def work() -> None:
            file = await self._read()
            if file != self._file or self._error is not None:
                await self._take(file)

        async def work_anyway() -> None:
            self._told = None
            with self.reloading():
                if not await self._take(await self._read()):
                    logger.info("the settings are as they were")

        with contextlib.suppress(ConfigInvalid):  # logged, and told by status
            await self._do(work_anyway if anyway else work)

    async def reload(self) -> tuple[str, ...]:
        """Take over what the file says now; return the keys whose values have changed.

        Raises:
            ConfigInvalid: It is not valid; the settings stay as they are.
        """

        async def work() -> tuple[str, ...]:
            with self.reloading():
                return await self._take(await self._read())

        return await self._do(work)

    async def write(self, edits_of: Callable[[Mapping[str, Value]], Edits]) -> None:
        """Set and (null) unset settings in the file, and take it over.

        Once it is begun it is finished, also if nobody waits for it any more.

        Args:
            edits_of: Returns the edits, checked values by key; it is told what the file sets.

        Raises:
            ConfigInvalid: They cannot be written, or the file would not be valid then.
        """

        async def work() -> None:
            file = await self._read()
            edits = edits_of(file.values if file else {})
            await asyncio.to_thread(self._sources.write, edits, self._sources.prepare)
            await self._take(await self._read())

        await self._do(work)

    # One after the other --------------------------------------------------------------------

    async def run(self) -> None:
        """Do what is asked for, one thing after the other, until cancelled."""
        while True:
            job = await self._jobs.get()
            if not job.is_wanted:
                continue
            try:
                await job.run()
            except asyncio.CancelledError:
                job.done.cancel()
                raise

    async def _do(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what *work* returns, done by ``run``: a request that ends does not end it."""
        job = _Job(work)
        self._jobs.put_nowait(job)
        try:
            return await asyncio.shield(job.done)
        finally:
            job.is_wanted = False  # if it has not begun, it never does

    async def _read(self) -> Given | None:
        """Return what the file says, once it says something, or has had the time to."""
        file = await asyncio.to_thread(self._sources.read)
        if _says_nothing(file) and not _says_nothing(self._file):
            await asyncio.sleep(SETTLE_S)
            file = await asyncio.to_thread(self._sources.read)
        return file

    async def _take(self, file: Given | None) -> tuple[str, ...]:
        before, self._file = self._prepared, file
        try:
            prepared = await asyncio.to_thread(self._sources.prepare, file)
            if prepared != before:
                await self._adopt(before, prepared)
        except ConfigInvalid as exc:
            self._refuse(exc)
            raise
        except Exception as exc:
            logger.exception("the config file could not be taken over")
            bug = ConfigInvalid("a bug kept it from being taken over", hint="the log has more")
            self._refuse(bug)
            raise bug from exc
        self._prepared = prepared
        was_valid = self._error is None
        if not was_valid:
            logger.info("%s is valid again", self._sources.path)
            self._error = self._told = None
        is_other = prepared.loaded != before.loaded
        if is_other:
            self.generation += 1
        changed = self._tell(before, prepared)
        if is_other or not was_valid:
            self.on_change(changed)
        return changed

    def _refuse(self, error: ConfigInvalid) -> None:
        """Note that the file is not valid, and log it once."""
        if str(error) != self._told:
            logger.warning("the settings stay as they were: %s", error)
        is_other = self._error is None or str(self._error) != str(error)
        self._error, self._told = error, str(error)
        if is_other:
            self.on_change(())

    def _tell(self, before: Prepared, now: Prepared) -> tuple[str, ...]:
        """Log what is different *now*; return the keys."""
        for warning in now.warnings:
            if warning not in before.warnings:
                logger.warning("%s", warning)
        old, new = before.loaded.settings, now.loaded.settings
        changed = tuple(key for key in BY_KEY if getattr(old, key) != getattr(new, key))
        if changed:
            logger.info(
                "settings changed: %s", ", ".join(_change(key, old, new) for key in changed)
            )
        return changed


def _says_nothing(file: Given | None) -> bool:
    return file is None or not (file.values or file.errors)


def _change(key: str, old: Settings, new: Settings) -> str:
    setting = BY_KEY[key]
    if setting.secret:
        return key
    was, now = (show_value(setting, getattr(each, key)) for each in (old, new))
    return f"{key} from {was} to {now}"
