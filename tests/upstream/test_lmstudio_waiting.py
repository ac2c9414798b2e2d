"""How long LM Studio may take, and who waits for whom meanwhile."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.wire.errors import ErrorCode
from tests.lmstudio import Answer, LMStudio, faults, paths
from tests.lmstudio.asking import GEMMA, QWEN
from tests.support.upstream_exchange import Gate
from tests.upstream.asker import lmstudio
from tests.upstream.asking import CHAT, PATIENT, SOON_S, Asked, ask, cancelled, relay, unnoticed


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1") as studio:
        yield studio


def test_a_model_that_is_loaded_on_demand_is_waited_for(studio: LMStudio) -> None:
    """F18, R8: not a byte comes meanwhile; the time between two parts does not count yet."""
    gate = studio.hold_loads()
    timeouts = msgspec.structs.replace(PATIENT, idle_s=0.1, list_s=0.1)

    async def run(upstream: LMStudioUpstream) -> Asked:
        task = asyncio.create_task(ask(upstream, msgspec.structs.replace(CHAT, model=GEMMA)))
        await asyncio.to_thread(studio.wait_request, path=paths.CHAT)
        await asyncio.wait({task}, timeout=0.3)
        assert not task.done()
        await asyncio.to_thread(gate.step)
        return await task

    with lmstudio(studio.url, timeouts=timeouts) as asker:
        assert asker.run(run(asker.upstream)).ending.model == GEMMA
    assert len(studio.requests(path=paths.CHAT)) == 1


def test_a_model_that_takes_too_long_is_told_as_that(studio: LMStudio) -> None:
    """F18, R8: the hint names the setting."""
    studio.hold_loads()
    timeouts = msgspec.structs.replace(PATIENT, first_token_s=0.15)
    with lmstudio(studio.url, timeouts=timeouts) as asker:
        error = asker.no_answer(GEMMA)

    assert (error.code, error.retryable) == (ErrorCode.UPSTREAM_TIMEOUT, True)
    assert error.hint is not None
    assert "llm_first_token_timeout" in error.hint
    assert studio.wait_disconnected().disconnected_at is not None


def test_a_list_does_not_wait_for_a_load(studio: LMStudio) -> None:
    """F18, F29: nor does a slow list delay an answer."""
    gate = studio.hold_loads()

    async def run(upstream: LMStudioUpstream) -> None:
        task = asyncio.create_task(ask(upstream, msgspec.structs.replace(CHAT, model=GEMMA)))
        await asyncio.to_thread(studio.wait_request, path=paths.CHAT)
        models = {model.id: model.loaded for model in (await upstream.models()).models}
        assert models[GEMMA] is False
        await asyncio.to_thread(gate.step)
        await task

        studio.next_fault(faults.no_answer(), path=paths.MODELS_V1)
        listing = asyncio.create_task(upstream.models())
        await asyncio.to_thread(studio.wait_request, 2, path=paths.MODELS_V1)
        await ask(upstream, msgspec.structs.replace(CHAT, model=GEMMA))
        assert not listing.done()
        listing.cancel()

    with lmstudio(studio.url) as asker:
        asker.run(run(asker.upstream))


def test_a_slow_first_byte_is_waited_for(studio: LMStudio) -> None:
    """F18: the head of the answer, this time."""
    gate = Gate()
    studio.next_fault(faults.slow_first_byte(gate), path=paths.CHAT)

    async def run(upstream: LMStudioUpstream) -> Asked:
        task = asyncio.create_task(ask(upstream, msgspec.structs.replace(CHAT, model=QWEN)))
        await asyncio.to_thread(gate.step)
        return await task

    with lmstudio(studio.url, timeouts=msgspec.structs.replace(PATIENT, idle_s=0.1)) as asker:
        assert asker.run(run(asker.upstream)).text == "Hello world"


def test_cancelling_hangs_up_although_the_prompt_is_read_to_its_end(studio: LMStudio) -> None:
    """F19, R9: the daemon is done at once; LM Studio is not."""
    gate = Gate()
    studio.load(QWEN)
    studio.next_answer(Answer(prompt=gate))

    async def run(upstream: LMStudioUpstream) -> float:
        chat = msgspec.structs.replace(CHAT, model=QWEN)
        task = asyncio.create_task(upstream.chat(chat, relay(), unnoticed))
        await asyncio.to_thread(studio.wait_request, path=paths.CHAT)
        return await cancelled(task)

    with lmstudio(studio.url) as asker:
        assert asker.run(run(asker.upstream)) < SOON_S
        studio.wait_disconnected()
