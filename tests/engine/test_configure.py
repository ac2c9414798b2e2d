"""Another configuration for an engine, while it is idle and while it is used."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from devsynthd.upstream.engine import Engine, EngineConfig
from devsynthd.wire.errors import ModelLoadFailed
from tests.engine.stand_ins import SERVES, stand_in, use


def longer(engine: Engine) -> EngineConfig:
    """Return the configuration of *engine* with a longer context."""
    assert engine.config is not None
    return replace(engine.config, context_length=1024)


def test_an_idle_engine_ends_and_starts_with_it_when_it_is_needed() -> None:
    async def scenario() -> None:
        engine = stand_in(SERVES)
        await use(engine)
        first = engine.pid

        engine.configure(config := longer(engine), idle_timeout_s=60)

        assert not engine.running
        assert engine.config == config
        await use(engine)
        assert engine.pid not in (None, first)
        await engine.stop()

    asyncio.run(scenario())


def test_whoever_uses_it_finishes_with_what_it_has() -> None:
    async def scenario() -> None:
        ended = asyncio.Event()
        engine = stand_in(SERVES, on_change=lambda: None if engine.running else ended.set())
        before = engine.config
        async with engine.lease():
            pid = engine.pid
            engine.configure(longer(engine), idle_timeout_s=60)
            async with engine.lease():  # nor does it end between two that overlap
                pass
            assert engine.pid == pid
            assert engine.running
            assert engine.config == before
        await ended.wait()
        assert engine.config != before
        await engine.stop()

    asyncio.run(scenario())


def test_one_that_is_switched_off_ends_when_it_is_idle_and_starts_no_more() -> None:
    async def scenario() -> None:
        engine = stand_in(SERVES)
        async with engine.lease():
            engine.configure(None, idle_timeout_s=60)
            assert engine.running
        assert not engine.running
        with pytest.raises(ModelLoadFailed, match="switched off"):
            await use(engine)
        await engine.stop()

    asyncio.run(scenario())


def test_one_that_was_off_can_be_switched_on() -> None:
    async def scenario() -> None:
        engine = stand_in(SERVES)
        config = engine.config
        engine.configure(None, idle_timeout_s=60)
        engine.configure(config, idle_timeout_s=60)
        await use(engine)
        assert engine.running
        await engine.stop()

    asyncio.run(scenario())


def test_another_idle_time_counts_at_once() -> None:
    async def scenario() -> None:
        ended = asyncio.Event()
        engine = stand_in(SERVES, on_change=lambda: None if engine.running else ended.set())
        await use(engine)

        engine.configure(engine.config, idle_timeout_s=0.01)

        await asyncio.wait_for(ended.wait(), 10)
        await engine.stop()

    asyncio.run(scenario())


def test_the_same_again_changes_nothing() -> None:
    async def scenario() -> None:
        engine = stand_in(SERVES, model=Path("/dev/null"))
        await use(engine)
        pid = engine.pid

        engine.configure(engine.config, idle_timeout_s=60)

        assert engine.running
        assert engine.pid == pid
        await engine.stop()

    asyncio.run(scenario())
