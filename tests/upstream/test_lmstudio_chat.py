"""Answers of LM Studio: who gives them, and how they end."""

import asyncio
from collections.abc import Iterator

import msgspec
import pytest

from devsynthd.upstream.base import Delta, Ending
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Usage
from tests.lmstudio import Answer, LMStudio, ToolCall, errors, faults, paths
from tests.lmstudio.asking import QWEN
from tests.lmstudio.completion import ReasoningAs
from tests.lmstudio.paths import GENERATIONS, Generation
from tests.lmstudio.script import Fault
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import events, piece
from tests.upstream.asker import Asker, lmstudio
from tests.upstream.asking import CHAT, unnoticed

LONG = "word " * 5000


@pytest.fixture
def studio() -> Iterator[LMStudio]:
    with LMStudio("v1") as studio:
        yield studio


@pytest.fixture
def asker(studio: LMStudio) -> Iterator[Asker[LMStudioUpstream]]:
    with lmstudio(studio.url) as asker:
        yield asker


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_answers_at_the_same_place(generation: Generation) -> None:
    """R6, F31: in a stream, with its usage where the version tells it, and documented fields."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        asked = asker.ask(QWEN)
        body = studio.requests(path=paths.CHAT)[0].body

    assert asked.text == "Hello world"
    usage = None if generation == "openai" else Usage(1, 2, 3)
    assert asked.ending == Ending(model=QWEN, finish_reason="stop", usage=usage)
    assert body == {
        "model": QWEN,
        "messages": [{"role": "user", "content": "hi"}],
        "temperature": 0.5,
        "max_tokens": 7,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("generation", GENERATIONS)
def test_another_model_that_answers_is_named(generation: Generation) -> None:
    """F7: the only loaded model answers to any name, without a word about it."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)

        assert asker.ask("nobody/knows").ending.model == QWEN


def test_the_instance_that_answers_is_named(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F6, F7: ``key:2`` is asked for as such."""
    studio.load(QWEN)
    studio.load(QWEN)

    assert asker.ask(QWEN).ending.model == QWEN
    assert asker.ask(f"{QWEN}:2").ending.model == f"{QWEN}:2"


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("reason", [errors.CRASHED, "Model unloaded.", errors.RELOADED])
def test_a_model_that_goes_away_under_its_answer(
    studio: LMStudio,
    reason: str,
    named: bool,  # noqa: FBT001 - a column
    done: bool,  # noqa: FBT001 - a column
    cut: bool,  # noqa: FBT001 - a column
) -> None:
    """F9, F10, F11, F13, R7, R10: what came is kept, the rest is told, nothing is sent again."""
    gate = Gate()
    studio.quirks.named_errors, studio.quirks.done_after_error = named, done
    studio.quirks.interruption = "cut" if cut else "frame"
    studio.load(QWEN)
    studio.says("Hel", "lo", gate=gate)

    async def run(upstream: LMStudioUpstream) -> tuple[list[Delta], BaseException | None]:
        ready = asyncio.Event()
        deltas: Relay[Delta] = Relay(100, ready.set)
        chat = msgspec.structs.replace(CHAT, model=QWEN)
        task = asyncio.create_task(upstream.chat(chat, deltas, unnoticed))
        await asyncio.to_thread(gate.step)
        await ready.wait()
        studio.evict(QWEN, reason)
        await asyncio.wait({task})
        return deltas.take(), task.exception()

    with lmstudio(studio.url) as asker:
        deltas, error = asker.run(run(asker.upstream))

    assert deltas == [Delta("Hel")]
    assert getattr(error, "code", None) is ErrorCode.INCOMPLETE
    assert getattr(error, "details", None) == {"cause": "upstream_error"}
    assert cut or reason in str(error)
    assert len(studio.requests(path=paths.CHAT)) == 1


@pytest.mark.parametrize("fault", [faults.overflow(), faults.overflow_in_stream()])
@pytest.mark.parametrize("said", [(), ("Hel",)])
def test_a_context_that_overflows(
    studio: LMStudio, asker: Asker[LMStudioUpstream], fault: Fault, said: tuple[str, ...]
) -> None:
    """F8: faces a and b, and one that shows itself under way."""
    studio.next_fault(
        faults.stream_error(errors.CONTEXT_FULL, after=said) if said else fault, path=paths.CHAT
    )
    error = asker.no_answer(QWEN)

    assert error.code is (ErrorCode.INCOMPLETE if said else ErrorCode.CONTEXT_OVERFLOW)
    assert not said or error.details["cause"] == ErrorCode.CONTEXT_OVERFLOW
    assert error.hint is not None
    assert "Shorten the prompt" in error.hint
    assert len(studio.requests(path=paths.CHAT)) == 1


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_prompt_that_is_too_long_for_what_is_loaded(generation: Generation) -> None:
    """F8: face b, of each generation in its own words."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)

        assert asker.no_answer(QWEN, LONG).code is ErrorCode.CONTEXT_OVERFLOW


def test_a_good_end_without_any_text_is_no_answer(
    studio: LMStudio, asker: Asker[LMStudioUpstream]
) -> None:
    """F8, R7: face c. Whether it was the context is known to who knows the loaded length."""
    studio.quirks.overflow = "silence"
    studio.load(QWEN)
    error = asker.no_answer(QWEN, LONG)

    assert (error.code, error.details) == (ErrorCode.UPSTREAM_ERROR, {"empty": True})


@pytest.mark.parametrize(
    ("fault", "empty"),
    [
        (faults.empty_stream(finished=True), True),
        (faults.empty_stream(), None),
        (faults.usage_only(), True),
        (faults.empty_choices(), True),
        (faults.empty_tool_calls(), True),
        (faults.instead(events("[DONE]")), True),
    ],
)
def test_an_answer_without_anything_in_it_is_a_failure(
    studio: LMStudio,
    asker: Asker[LMStudioUpstream],
    fault: Fault,
    empty: bool | None,  # noqa: FBT001 - a column
) -> None:
    """F8, F25, R7: an empty list of calls is no call."""
    studio.next_fault(fault, path=paths.CHAT)
    error = asker.no_answer(QWEN)

    assert error.code is ErrorCode.UPSTREAM_ERROR
    assert error.details.get("empty") is empty


@pytest.mark.parametrize("cut", [False, True])
def test_a_stream_that_just_ends_is_incomplete(
    studio: LMStudio,
    asker: Asker[LMStudioUpstream],
    cut: bool,  # noqa: FBT001 - a column
) -> None:
    """F10, R7: neither a reason nor ``[DONE]`` has come."""
    studio.next_fault(faults.end_without_done("Hel", "lo", cut=cut), path=paths.CHAT)
    assert asker.no_answer(QWEN).code is ErrorCode.INCOMPLETE
    studio.next_fault(faults.end_without_done(cut=cut), path=paths.CHAT)
    assert asker.no_answer(QWEN).code is ErrorCode.UPSTREAM_ERROR


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (faults.empty_choices("Hel", "lo"), "Hello"),
        (faults.empty_tool_calls("Hel", "lo"), "Hello"),
        (faults.instead(events(piece("Hel"), piece("lo", finish_reason="stop"))), "Hello"),
        (faults.instead(events(piece("Hello"), "[DONE]")), "Hello"),
    ],
    ids=["choices: []", "tool_calls: []", "no [DONE]", "no reason"],
)
def test_what_is_odd_on_the_way_does_not_matter(
    studio: LMStudio, asker: Asker[LMStudioUpstream], fault: Fault, text: str
) -> None:
    """F10, F25, F31, R7: any sign of a good end is one."""
    studio.next_fault(fault, path=paths.CHAT)
    asked = asker.ask(QWEN)

    assert asked.text == text
    assert (asked.ending.tool_calls, asked.ending.usage) == ((), None)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_come_in_either_field(
    studio: LMStudio, asker: Asker[LMStudioUpstream], field: ReasoningAs
) -> None:
    """F24: also without any text after them."""
    studio.next_answer(Answer(reasoning=("Hm",), reasoning_as=field, texts=()))

    assert asker.ask(QWEN).deltas == [Delta("", "Hm")]


def test_calls_without_an_id_get_one(studio: LMStudio, asker: Asker[LMStudioUpstream]) -> None:
    """F25."""
    studio.next_answer(Answer(texts=(), tool_calls=(ToolCall(name="f", id=""),)))
    asked = asker.ask(QWEN)
    (call,) = asked.ending.tool_calls

    assert (call.function.name, call.function.arguments) == ("f", "{}")
    assert call.id.startswith("call_")
    assert asked.deltas[0].tool_calls[0].id == call.id
