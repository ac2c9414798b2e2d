"""What is in force, on an event loop, with a file that a test makes up."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from devsynthd.settings.configuration import Configuration, Prepared
from devsynthd.settings.sources import Given, combine
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value

BEFORE = Given(values={"llm_model": "a"})
AFTER = Given(values={"llm_model": "b"})


class File:
    """A file that says *now*, or first what is *next*; writes set it."""

    path = Path("/the/file")

    def __init__(self) -> None:
        self.now: Given | None = BEFORE
        self.next: list[Given | None] = []
        self.begun = threading.Event()  # the first write

    def read(self) -> Given | None:
        return self.next.pop(0) if self.next else self.now

    def prepare(self, file: Given | None) -> Prepared:
        return Prepared(loaded=combine(flags=Given(), environment=Given(), file=file))

    def write(self, edits: Mapping[str, Value | None], approve: Callable[[Given], object]) -> None:
        self.begun.set()
        given = self.now.values if self.now else {}
        new = {**given, **edits}
        self.now = Given(values={key: value for key, value in new.items() if value is not None})
        approve(self.now)


class Setup:
    """A configuration that is run, and what it has adopted."""

    def __init__(self) -> None:
        self.file, self.adopted = File(), list[str]()
        self.fault: Exception | None = None
        self.configuration = Configuration(self.file, BEFORE, self.file.prepare(BEFORE), self.adopt)

    async def adopt(self, _before: Prepared, now: Prepared) -> None:
        if self.fault:
            raise self.fault
        self.adopted.append(now.loaded.settings.llm_model)


def run(test: Callable[[Setup], Awaitable[None]]) -> None:
    async def run() -> None:
        setup = Setup()
        async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
            running = tasks.create_task(setup.configuration.run())
            await test(setup)
            running.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("passing", [None, Given()], ids=["gone", "empty"])
@pytest.mark.parametrize("how", ["look", "reload", "write"])
def test_a_file_that_is_gone_or_empty_has_a_moment_to_come_back(
    passing: Given | None, how: str
) -> None:
    async def test(here: Setup) -> None:
        here.file.now, here.file.next = AFTER, [passing]
        configuration = here.configuration
        if how == "write":
            await configuration.write(lambda in_file: {"llm_max_tokens": len(in_file)})
            assert configuration.settings.llm_max_tokens == 1  # what came back was edited
        else:
            await (configuration.look() if how == "look" else configuration.reload())
        assert here.adopted == ["b"]

    run(test)


def test_one_that_stays_away_means_defaults() -> None:
    async def test(here: Setup) -> None:
        here.file.now = None
        await here.configuration.look()
        assert here.adopted == [""]
        assert not here.configuration.loaded.exists

    run(test)


def test_a_look_that_sees_the_same_adopts_nothing() -> None:
    async def test(here: Setup) -> None:
        await here.configuration.look()
        assert await here.configuration.reload() == ()
        assert here.adopted == []
        assert here.configuration.generation == 1

    run(test)


def test_what_cannot_be_adopted_is_not_in_force_and_told_until_it_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(here: Setup) -> None:
        configuration = here.configuration
        here.file.now, here.fault = AFTER, ConfigInvalid("no such upstream")
        for _ in range(3):
            await configuration.look()
        assert configuration.status().error == "no such upstream"
        assert configuration.settings.llm_model == "a"
        assert caplog.text.count("no such upstream") == 1

        here.fault = None
        await configuration.look()  # although the file says the same
        assert configuration.status().valid
        assert configuration.settings.llm_model == "b"

    with caplog.at_level(logging.INFO):
        run(test)


def test_a_bug_is_told_as_one_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def test(here: Setup) -> None:
        here.file.now, here.fault = AFTER, ZeroDivisionError("oops")
        await here.configuration.look()
        assert "a bug" in (here.configuration.status().error or "")
        with pytest.raises(ConfigInvalid, match="a bug"):
            await here.configuration.reload()

    run(test)
    assert "ZeroDivisionError" in caplog.text


def test_what_waits_when_its_request_ends_is_not_done() -> None:
    async def test(here: Setup) -> None:
        first = asyncio.ensure_future(here.configuration.write(lambda _: {"llm_model": "first"}))
        second = asyncio.ensure_future(here.configuration.write(lambda _: {"llm_model": "second"}))
        await asyncio.sleep(0)
        second.cancel()
        await first
        assert await here.configuration.reload() == ()
        assert here.adopted == ["first"]

    run(test)


def test_what_was_begun_when_its_request_ends_is_finished() -> None:
    async def test(here: Setup) -> None:
        writing = asyncio.ensure_future(here.configuration.write(lambda _: {"llm_model": "b"}))
        assert await asyncio.to_thread(here.file.begun.wait, 10)
        writing.cancel()
        assert await here.configuration.reload() == ()
        assert here.adopted == ["b"]

    run(test)
