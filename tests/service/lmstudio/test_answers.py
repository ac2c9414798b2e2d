"""What becomes of the odd ways in which LM Studio answers a generation."""

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import (
    ContextOverflow,
    DevsynthError,
    Incomplete,
    ModelNotFound,
    NoModel,
    UpstreamError,
)
from tests.lmstudio import Answer, LMStudio, faults, paths
from tests.lmstudio.script import Fault
from tests.service.lmstudio.asking import (
    EMBEDDER,
    GEMMA,
    QWEN,
    asked_models,
    codes,
    ids,
    refreshed,
)

LONG = "word " * 5000
"""More than the 4096 tokens of context that a model is loaded with."""


# A prompt that does not fit ----------------------------------------------------------------


@pytest.mark.parametrize("overflow", ["frame", "silence"])
@pytest.mark.parametrize("named", [True, False])
def test_prompt_longer_than_the_context(
    client: Client, studio: LMStudio, overflow: str, *, named: bool
) -> None:
    """F8, F9: an error inside the stream, named or not, or a good end without a word."""
    studio.quirks.overflow = "silence" if overflow == "silence" else "frame"
    studio.quirks.named_errors = named
    studio.load(QWEN)
    refreshed(client)

    with pytest.raises(ContextOverflow) as caught:
        client.generate(LONG)

    assert "4096" in str(caught.value)
    assert "larger context" in (caught.value.hint or "") or "horter" in (caught.value.hint or "")
    assert not caught.value.retryable
    assert len(asked_models(studio)) == 1


def test_prompt_longer_than_the_context_without_a_stream(client: Client, studio: LMStudio) -> None:
    """F8."""
    studio.next_fault(faults.overflow(), path=paths.CHAT)

    with pytest.raises(ContextOverflow):
        client.generate("x")

    assert len(asked_models(studio)) == 1


@pytest.mark.parametrize(
    "fault",
    [faults.empty_stream(), faults.empty_stream(finished=True), faults.usage_only()],
    ids=["nothing", "a good end", "usage only"],
)
def test_empty_answer_to_a_short_prompt(client: Client, studio: LMStudio, fault: Fault) -> None:
    """F8, R7: no text is a failure, but nothing says that the prompt is too long."""
    studio.load(QWEN)
    refreshed(client)
    studio.next_fault(fault, path=paths.CHAT)

    with pytest.raises(UpstreamError) as caught:
        client.generate("x")

    assert type(caught.value) is UpstreamError
    assert len(asked_models(studio)) == 1


# Nobody answers, or somebody else ----------------------------------------------------------


def test_nothing_is_loaded(client: Client, studio: LMStudio) -> None:
    """F3, F4: the hint says how to load, the list is looked at again, and nothing is loaded."""
    polls = len(studio.requests(path=paths.MODELS_V1))
    studio.next_fault(faults.no_models_loaded(), path=paths.CHAT)

    with pytest.raises(NoModel) as caught:
        client.generate("x")

    assert "devsynthctl load" in (caught.value.hint or "")
    assert not caught.value.retryable
    assert len(asked_models(studio)) == 1
    studio.wait_request(polls + 1, path=paths.MODELS_V1)
    assert studio.requests(path=paths.LOAD) == []


def test_other_model_that_answers_is_told(client: Client, studio: LMStudio) -> None:
    """F7: LM Studio has whoever is loaded answer, and names it only in the answer."""
    studio.next_answer(Answer(model=GEMMA))

    answer = client.generate("x", model=QWEN)

    assert answer.model == GEMMA
    (warning,) = answer.warnings
    assert warning.code == "other_model"
    assert GEMMA in warning.message
    assert QWEN in warning.message


def test_second_instance_is_no_other_model(client: Client, studio: LMStudio) -> None:
    """F6, F7."""
    for _ in range(2):
        studio.load(QWEN)
    refreshed(client)
    studio.next_answer(Answer(model=f"{QWEN}:2"))

    answer = client.generate("x", model=QWEN)

    assert (answer.model, codes(answer)) == (f"{QWEN}:2", [])


def test_model_that_is_not_listed_stays_selected(client: Client, studio: LMStudio) -> None:
    """F21: with JIT off the list shows what is loaded only: not listed is not deleted."""
    client.select(QWEN, persist=False)
    studio.quirks.v1_list_shrinks = True
    studio.settings.jit = False
    studio.load(GEMMA)

    listed = refreshed(client)
    assert ids(listed) == [GEMMA]
    assert (listed.selection.model, listed.selection.how) == (QWEN, "selected")
    assert listed.selection.available is False
    assert "does not list it" in listed.selection.reason
    with pytest.raises(ModelNotFound, match="not in the list"):
        client.generate("x")
    assert asked_models(studio) == []

    studio.settings.jit = True
    assert client.generate("x").model == QWEN


def test_embedding_model_is_never_chosen_for_a_chat(client: Client, studio: LMStudio) -> None:
    """F20: the only one that is loaded, and yet no answer can come from it."""
    studio.load(EMBEDDER)
    assert refreshed(client).selection.model == QWEN
    studio.world.models[:] = [model for model in studio.world.models if model.embeds]

    listed = refreshed(client)

    assert (listed.selection.model, listed.selection.how) == (None, "none")
    with pytest.raises(NoModel):
        client.generate("x")
    assert asked_models(studio) == []


# An answer that breaks off -----------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(faults.end_without_done("Hel", "lo"), id="ends"),
        pytest.param(faults.end_without_done("Hel", "lo", cut=True), id="cut"),
        pytest.param(faults.stream_error("Channel Error", after=["Hel", "lo"]), id="error"),
        pytest.param(
            faults.stream_error("Model unloaded.", after=["Hel", "lo"], named=True, hangs=True),
            id="named error, then silence",
        ),
        pytest.param(
            faults.stream_error("a plain text", after=["Hel", "lo"], done=True), id="error and DONE"
        ),
    ],
)
def test_answer_that_breaks_off_is_told_with_what_came(
    client: Client, studio: LMStudio, fault: Fault
) -> None:
    """F9, F10, F12, F13, R7, R10: never a success, never sent again."""
    studio.next_fault(fault, path=paths.CHAT)

    with pytest.raises(Incomplete) as caught:
        client.generate("x")

    assert caught.value.details["text"] == "Hello"
    assert len(asked_models(studio)) == 1


@pytest.mark.parametrize(
    "fault",
    [faults.empty_choices("Hel", "lo"), faults.empty_tool_calls("Hel", "lo")],
    ids=["empty choices", "empty tool calls"],
)
def test_hollow_chunks_are_no_trouble(client: Client, studio: LMStudio, fault: Fault) -> None:
    """F25, F31: chunks without a choice, without a call, and no usage at all."""
    studio.next_fault(fault, path=paths.CHAT)

    answer = client.generate("x")

    assert (answer.text, answer.finish_reason, answer.tool_calls) == ("Hello", "stop", ())
    assert answer.usage is None


def test_template_that_fails_is_told_once(client: Client, studio: LMStudio) -> None:
    """F14: permanent for this prompt."""
    text = "Error rendering prompt with jinja template: No user query found in messages."
    studio.next_fault(faults.plain_error(text), path=paths.CHAT)

    with pytest.raises(DevsynthError, match="No user query found") as caught:
        client.generate("x")

    assert (caught.value.code, caught.value.retryable) == ("upstream_error", False)
    assert len(asked_models(studio)) == 1
