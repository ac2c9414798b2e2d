"""What takes time in LM Studio: loading a model, and one answer after the other.

A request for a model that is being loaded waits, without a byte on the wire. An instance gives a
few answers at a time (one, before 0.4.0); further requests wait in the same silence. A client that
leaves while its prompt is read frees the place only when the prompt is read to its end.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from tests.lmstudio import errors
from tests.lmstudio.models import Instance
from tests.lmstudio.script import Script
from tests.lmstudio.world import World
from tests.support.upstream_exchange import Gate

T = TypeVar("T")


class Interrupted(Exception):
    """The instance went away under the answer; the text says how."""


class LoadFailed(Exception):
    """A load did not end well; the text is the tail of LM Studio's message."""


class Place:
    """One answer's hold on its instance."""

    def __init__(self, instance: Instance, interrupted: asyncio.Future[str]) -> None:
        self.instance = instance
        self.interrupted = interrupted
        self.reading: asyncio.Task[None] | None = None  # the prompt, which cannot be broken off

    async def until(self, work: Awaitable[T]) -> T:
        """Return what *work* does.

        Raises:
            Interrupted: The instance went away before.
        """
        task = asyncio.ensure_future(work)
        either: set[asyncio.Future[Any]] = {task, self.interrupted}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if self.interrupted.done():
                raise Interrupted(self.interrupted.result())
            return task.result()
        finally:
            task.cancel()

    async def read_prompt(self, gate: Gate) -> None:
        """Read the prompt for as long as *gate* is shut."""
        self.reading = asyncio.get_running_loop().create_task(gate.pass_one())
        await self.until(asyncio.shield(self.reading))


class Engine:
    """Loads and answers under way. Lives on the server's event loop, for one start of it."""

    def __init__(self, world: World, script: Script, lock: threading.RLock) -> None:
        self._world, self._script, self._lock = world, script, lock
        self._loads: dict[Instance, asyncio.Task[str | None]] = {}
        self._slots: dict[Instance, asyncio.Semaphore] = {}
        self._places: set[Place] = set()

    def interrupt(self, instance: Instance, reason: str) -> None:
        """Tell the answers of *instance* that it is gone."""
        for place in self._places:
            if place.instance is instance and not place.interrupted.done():
                place.interrupted.set_result(reason)

    async def load(self, instance: Instance) -> None:
        """Wait until *instance* is loaded; it loads once, whoever waits or leaves.

        Raises:
            LoadFailed: It does not get loaded.
        """
        if instance.ready:
            return
        if instance not in self._loads:
            task = asyncio.get_running_loop().create_task(self._load(instance))
            self._loads[instance] = task
        failure = await asyncio.shield(self._loads[instance])
        if failure is not None:
            raise LoadFailed(failure)

    @contextlib.asynccontextmanager
    async def place(self, instance: Instance) -> AsyncIterator[Place]:
        """Hold a place for one answer of *instance*, as soon as it is loaded and one is free.

        Raises:
            LoadFailed: It does not get loaded.
            Interrupted: It went away while this waited.
        """
        place = Place(instance, asyncio.get_running_loop().create_future())
        self._places.add(place)
        try:
            try:
                await place.until(self.load(instance))
            except Interrupted as exc:
                raise LoadFailed(errors.OPERATION_CANCELED) from exc
            parallel = instance.config.parallel
            slots = self._slots.setdefault(instance, asyncio.Semaphore(parallel))
            await place.until(slots.acquire())
            try:
                yield place
            finally:
                if place.reading is None or place.reading.done():
                    slots.release()
                else:
                    place.reading.add_done_callback(lambda _: slots.release())
        finally:
            self._places.discard(place)

    async def _load(self, instance: Instance) -> str | None:
        """Load; return what went wrong, if anything did."""
        await self._script.load_time()
        with self._lock:
            failure = self._script.load_failure()
            if instance not in self._world.instances:
                return errors.OPERATION_CANCELED
            if failure is not None:
                self._world.give_up(instance)
            else:
                instance.ready = True
                self._world.use(instance)
        return failure
