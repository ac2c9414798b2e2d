"""Starting, sharing and stopping the engine's process; stand-ins for llama.cpp start at once."""

import asyncio
import gc
import logging
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthd.upstream.engine import Endpoint, Engine, EngineConfig
from devsynthd.wire.errors import ModelLoadFailed, UpstreamTimeout, UpstreamUnavailable
from tests.engine.processes import needs_pidfd, watched
from tests.engine.stand_ins import (
    GIVES_UP,
    IGNORES_ITS_PARENT,
    LOADS_FOR_EVER,
    SAYS_NO_PORT,
    SERVES,
    SERVES_ON_CUE,
    begun,
    stand_in,
    use,
)

ENGINES = Path(__file__).parent / "engines"


@pytest.fixture
def cue(tmp_path: Path) -> Path:
    """Return a named pipe: the stand-in that loads it serves when something is written to it."""
    path = tmp_path / "model"
    os.mkfifo(path)
    return path


def test_change_of_running_is_told() -> None:
    async def scenario() -> list[bool]:
        seen: list[bool] = []
        engine: Engine = stand_in(SERVES, on_change=lambda: seen.append(engine.running))
        assert not engine.running
        assert engine.pid is None
        await use(engine)
        await use(engine)
        await engine.stop()
        await engine.stop()
        return seen

    assert asyncio.run(scenario()) == [True, False]


def test_all_who_wait_share_one_start(cue: Path) -> None:
    async def scenario() -> list[Endpoint]:
        engine = stand_in(SERVES_ON_CUE, cue)
        waiting = [await begun(use(engine)) for _ in range(20)]
        await asyncio.to_thread(cue.write_text, "go")
        endpoints = await asyncio.gather(*waiting)
        await engine.stop()
        return endpoints

    # Each process has a key of its own.
    assert len({endpoint.api_key for endpoint in asyncio.run(scenario())}) == 1


def test_cancelled_waiter_leaves_the_start_to_the_others(cue: Path) -> None:
    async def scenario() -> None:
        engine = stand_in(SERVES_ON_CUE, cue)
        first, second = await begun(use(engine)), await begun(use(engine))
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        await asyncio.to_thread(cue.write_text, "go")
        assert (await second).base_url == "http://127.0.0.1:1/v1"
        await engine.stop()

    asyncio.run(scenario())


def test_start_goes_on_when_nobody_waits_any_more(cue: Path) -> None:
    async def scenario() -> None:
        changed = asyncio.Event()
        engine = stand_in(SERVES_ON_CUE, cue, on_change=changed.set)
        waiting = await begun(use(engine))
        waiting.cancel()
        await asyncio.to_thread(cue.write_text, "go")
        await changed.wait()
        assert engine.running
        await engine.stop()

    asyncio.run(scenario())


def test_failed_start_that_nobody_waits_for_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        engine = stand_in(LOADS_FOR_EVER)
        waiting = await begun(use(engine))
        waiting.cancel()
        await asyncio.wait([waiting])
        await engine.stop()

    asyncio.run(scenario())
    gc.collect()  # asyncio tells of an error that nobody has seen when it is thrown away

    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_lease_in_use_outlasts_the_idle_timeout() -> None:
    idle_timeout_s = 0.05

    async def scenario() -> None:
        engine = stand_in(SERVES, idle_timeout_s=idle_timeout_s)
        before = await use(engine)
        async with engine.lease() as endpoint:
            # Timers fire in order: one that was still set would have ended the engine by then.
            await asyncio.sleep(2 * idle_timeout_s)
            assert endpoint == before
            assert engine.running
        await engine.stop()

    asyncio.run(scenario())


def test_lease_taken_while_the_last_process_ends_gets_a_new_one() -> None:
    async def scenario() -> None:
        engine = stand_in(SERVES)
        before = await use(engine)
        stopping = asyncio.create_task(engine.stop())
        await asyncio.sleep(0)
        assert await use(engine) != before
        assert engine.running
        await stopping
        await engine.stop()

    asyncio.run(scenario())


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_stop_ends_a_start_at_any_point(steps: int) -> None:
    async def scenario() -> None:
        engine = stand_in(LOADS_FOR_EVER)
        waiting = asyncio.create_task(use(engine))
        for _ in range(steps):
            await asyncio.sleep(0)
        await engine.stop()
        with pytest.raises(UpstreamUnavailable, match="stopped"):
            await waiting

    asyncio.run(scenario())


@needs_pidfd
def test_child_that_does_not_end_when_told_to_is_killed() -> None:
    async def scenario() -> None:
        engine = stand_in(IGNORES_ITS_PARENT)
        async with engine.lease():
            assert engine.pid is not None
            with watched(engine.pid) as ended:
                await engine.stop()
                assert ended()

    asyncio.run(scenario())


def test_slow_start_is_a_timeout_and_the_next_need_tries_again() -> None:
    async def scenario() -> None:
        engine = stand_in(LOADS_FOR_EVER, start_timeout_s=0.1)
        for _ in range(2):
            with pytest.raises(UpstreamTimeout, match=r"/dev/null within 0\.1 s"):
                await use(engine)

    asyncio.run(scenario())


def test_child_that_gives_up_is_explained_by_its_last_line() -> None:
    with pytest.raises(ModelLoadFailed, match=r"load /dev/null: tensor of no shape$"):
        asyncio.run(use(stand_in(GIVES_UP)))


def test_child_that_reports_nonsense_is_an_error() -> None:
    with pytest.raises(ModelLoadFailed, match="exit status 0"):
        asyncio.run(use(stand_in(SAYS_NO_PORT)))


def test_command_that_cannot_be_started_is_an_error(tmp_path: Path) -> None:
    engine = Engine(
        EngineConfig(model_path=tmp_path, context_length=512, threads=0),
        idle_timeout_s=60,
        command=(str(tmp_path / "python"),),
    )
    with pytest.raises(ModelLoadFailed, match="cannot be started"):
        asyncio.run(use(engine))


@pytest.fixture
def with_engine(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Engine]:
    """Return a function for the real child with a stand-in for the package that it imports."""

    def with_engine(name: str) -> Engine:
        monkeypatch.setenv("PYTHONPATH", str(ENGINES / name))
        config = EngineConfig(model_path=Path("/dev/null"), context_length=512, threads=0)
        return Engine(config, idle_timeout_s=60)

    return with_engine


def test_missing_engine_says_what_to_install(with_engine: Callable[[str], Engine]) -> None:
    with pytest.raises(ModelLoadFailed, match="not installed") as caught:
        asyncio.run(use(with_engine("not_installed")))

    assert "pip install 'devsynthd[embedded]'" in str(caught.value.hint)


def test_prints_of_the_engine_are_not_taken_for_its_report(
    with_engine: Callable[[str], Engine],
) -> None:
    async def scenario() -> Endpoint:
        engine = with_engine("prints")
        endpoint = await use(engine)
        await engine.stop()
        return endpoint

    assert asyncio.run(scenario()).base_url == "http://127.0.0.1:1/v1"
