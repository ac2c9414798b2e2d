"""What LM Studio says when it refuses, in all the forms that were seen, and what is made of it."""

from collections.abc import Callable

import pytest

from devsynthd.upstream.failures import ModelGone
from devsynthd.wire.errors import ErrorCode
from tests.lmstudio import LMStudio, errors, faults, paths
from tests.lmstudio.asking import QWEN
from tests.lmstudio.errors import Refused
from tests.lmstudio.paths import Generation
from tests.lmstudio.script import Fault
from tests.lmstudio.world import UNLOADED
from tests.support.upstream_exchange import Exchange
from tests.upstream.asker import lmstudio

OVERFLOW = errors.OVERFLOW.format(n_keep=5000, n_ctx=4096)
OVERFLOW_OLD = errors.OVERFLOW_OLD.format(n_keep=5000)
NOT_FOUND = 'Model "x" not found. Please specify a valid model.\nYour models are:\n\n- a\n- b'
ABORTED = (
    "Model loading aborted due to insufficient system resources. Overloading the system will"
    " likely cause it to freeze."
)

# What LM Studio says, and what it means, whatever the form and the status.
PHRASES: list[tuple[str, ErrorCode]] = [
    # F1
    ("Unexpected endpoint or method. (POST /x)", ErrorCode.UPSTREAM_ERROR),
    # F3, F4
    (errors.NO_MODELS_LOADED, ErrorCode.NO_MODEL),
    # F5, F30
    ('Failed to load model "x". Error: Error loading model.', ErrorCode.MODEL_LOAD_FAILED),
    ('Failed to load model "x". Error: Operation canceled.', ErrorCode.MODEL_LOAD_FAILED),
    (f'Failed to load model "x". Error: {errors.CRASHED}', ErrorCode.MODEL_LOAD_FAILED),
    (f'Failed to load model "x". Error: {ABORTED}', ErrorCode.MODEL_LOAD_FAILED),
    ('Failed to load model "x". Error: model not found', ErrorCode.MODEL_LOAD_FAILED),
    (errors.INSUFFICIENT_RESOURCES, ErrorCode.MODEL_LOAD_FAILED),
    # F7
    (NOT_FOUND, ErrorCode.MODEL_NOT_FOUND),
    # F8
    (OVERFLOW, ErrorCode.CONTEXT_OVERFLOW),
    (OVERFLOW_OLD, ErrorCode.CONTEXT_OVERFLOW),
    (errors.CONTEXT_FULL, ErrorCode.CONTEXT_OVERFLOW),
    # F11
    (errors.CRASHED, ErrorCode.UPSTREAM_ERROR),
    (errors.CRASHED.replace("null", "18446744072635812000"), ErrorCode.UPSTREAM_ERROR),
    # F12
    (errors.CHANNEL_ERROR, ErrorCode.UPSTREAM_ERROR),
    # F11, F13
    (errors.RELOADED, ErrorCode.UPSTREAM_ERROR),
    (UNLOADED, ErrorCode.UPSTREAM_ERROR),
    (errors.UNLOADED_BEFORE, ErrorCode.UPSTREAM_ERROR),
    # F14
    (errors.TEMPLATE, ErrorCode.UPSTREAM_ERROR),
    # F26
    (errors.RESPONSE_FORMAT, ErrorCode.UPSTREAM_ERROR),
    # F27
    ("Unrecognized key(s) in object: 'stop'", ErrorCode.UPSTREAM_ERROR),
    ("Invalid discriminator value. Expected 'text' | 'image'", ErrorCode.UPSTREAM_ERROR),
    (errors.MESSAGES_REQUIRED, ErrorCode.UPSTREAM_ERROR),
    ("Invalid 'messages' in payload", ErrorCode.UPSTREAM_ERROR),
    ("_0x48eeaf is not iterable", ErrorCode.UPSTREAM_ERROR),
]


# F11, F13: known to be over soon, so that it is worth to ask again.
GONE = {
    errors.CRASHED,
    errors.CRASHED.replace("null", "18446744072635812000"),
    errors.RELOADED,
    UNLOADED,
    errors.UNLOADED_BEFORE,
}


def _chat_event(text: str) -> Fault:
    """E7: an error as ``/api/v1/chat`` has it, in case that ``/v1`` takes it over."""

    async def reply(exchange: Exchange) -> None:
        error = {"type": "unknown", "message": text}
        await exchange.head()
        await exchange.event({"type": "error", "error": error}, "error")
        await exchange.event({"type": "chat.end", "result": {}}, "chat.end")
        await exchange.end()

    return faults.instead(reply)


def _named_only(text: str) -> Fault:
    """E6: an event whose name alone tells that it is an error."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event({"message": text}, "error")
        await exchange.end()

    return faults.instead(reply)


FORMS: dict[str, Callable[[str], Fault]] = {
    "E2 400": faults.plain_error,
    "E2 500": lambda text: faults.plain_error(text, 500),
    "E2 200": lambda text: faults.plain_error(text, 200),
    "E3 400": faults.object_error,
    "E3 404": lambda text: faults.object_error(text, status=404),
    "E4 500": lambda text: faults.native_error("internal_error", text, 500),
    "E5": lambda text: faults.refuse(errors.stringified_issues(text)),
    "E6": faults.stream_error,
    "E6 text": lambda text: faults.stream_error({"message": text}, done=True),
    "E6 named": lambda text: faults.stream_error(text, named=True),
    "E6 open": lambda text: faults.stream_error(text, hangs=True),
    "E6 named only": _named_only,
    "E7": _chat_event,
}


def _one_line(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("form", FORMS)
def test_every_phrase_has_its_code_in_every_form(form: str) -> None:
    """F1, F3, F4, F5, F8, F9, F11, F12, F13, F14, F26, F27, F30, R1, R14.

    The server's own text is handed on as one line, and nothing is sent twice.
    """
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        for text, code in PHRASES:
            studio.next_fault(FORMS[form](text), path=paths.CHAT)
            error = asker.no_answer()

            assert (error.code, error.details["message"]) == (code, _one_line(text))
            assert isinstance(error, ModelGone) == (text in GONE)
            assert _one_line(text) in str(error)
            assert studio.url in str(error)
        assert len(studio.requests(path=paths.CHAT)) == len(PHRASES)


CODES: list[tuple[Refused, ErrorCode]] = [
    (errors.native("model_not_found", "no", status=404), ErrorCode.MODEL_NOT_FOUND),
    (errors.object_error("no", "model_not_found", 404), ErrorCode.MODEL_NOT_FOUND),
    (errors.native("model_load_failed", "no"), ErrorCode.MODEL_LOAD_FAILED),
    (errors.native("not_implemented", "no"), ErrorCode.UPSTREAM_ERROR),
    (errors.native("invalid_request", "no", code="invalid_union"), ErrorCode.UPSTREAM_ERROR),
    (errors.bad_token(None), ErrorCode.UPSTREAM_AUTH),
    (errors.forbidden(), ErrorCode.UPSTREAM_AUTH),
    # LM Studio's code for a load that failed is the one for a model that is not there
    (errors.load_failed("x", ABORTED, "v1"), ErrorCode.MODEL_LOAD_FAILED),
    (errors.load_failed("x", ABORTED, "openai"), ErrorCode.MODEL_LOAD_FAILED),
]


@pytest.mark.parametrize(("refused", "code"), CODES)
def test_a_code_tells_where_the_words_do_not(refused: Refused, code: ErrorCode) -> None:
    """F5, F15, R1."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.refuse(refused), path=paths.CHAT)
        error = asker.no_answer()

    assert error.code is code
    assert error.details.get("status") == (
        None if code is ErrorCode.UPSTREAM_AUTH else refused.status
    )


@pytest.mark.parametrize("status", [200, 400, 413, 500])
def test_a_page_is_no_answer(status: int) -> None:
    """R1: E9, what a malformed or too large request is answered with is not confirmed."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.not_json(status), path=paths.CHAT)
        error = asker.no_answer()

        assert error.code is ErrorCode.UPSTREAM_ERROR
        assert "an HTML page" in str(error)
        assert "<" not in str(error)
        assert asker.ask(QWEN).text == "Hello world"


def test_what_is_said_is_made_fit_to_be_shown() -> None:
    """R14: one line, no page, no escapes, not endless."""
    dirty = f"\x1b[31mboom\x1b[0m\r\n<script>x</script>\u202e {'y' * 5000}"
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.plain_error(dirty), path=paths.CHAT)
        message = asker.no_answer().details["message"]

    assert message.startswith("boom x yyy")
    assert len(message) <= 300
    assert message.isprintable()


@pytest.mark.parametrize(("generation", "status"), [("v1", 400), ("v0", 400), ("openai", 404)])
def test_nothing_loaded_is_no_bad_request(generation: Generation, status: int) -> None:
    """F3: its status changed from 404 to 400; the hint names what loads a model."""
    with LMStudio(generation, [QWEN]) as studio, lmstudio(studio.url) as asker:
        studio.settings.jit = False
        error = asker.no_answer(QWEN)

    assert (error.code, error.details["status"]) == (ErrorCode.NO_MODEL, status)
    assert error.hint is not None
    assert "devsynthctl load" in error.hint


def test_nothing_is_loaded_although_it_should_be_on_demand() -> None:
    """F4, R12: told as that, and no load is asked for in its place."""
    with LMStudio("v1", [QWEN]) as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.no_models_loaded(), path=paths.CHAT)
        error = asker.no_answer(QWEN)

        assert error.code is ErrorCode.NO_MODEL
        assert error.hint is not None
        assert "devsynthctl load" in error.hint
        assert studio.requests(path=paths.LOAD) == []


@pytest.mark.parametrize("generation", ["v1", "v0", "openai"])
def test_a_load_on_demand_that_fails_is_told_as_that(generation: Generation) -> None:
    """F5: with the server's reason, and without another try."""
    with LMStudio(generation, [QWEN]) as studio, lmstudio(studio.url) as asker:
        studio.next_load_fails()
        error = asker.no_answer(QWEN)

        assert error.code is ErrorCode.MODEL_LOAD_FAILED
        assert "insufficient system resources" in error.details["message"]
        assert len(studio.requests(path=paths.CHAT)) == 1


@pytest.mark.parametrize("generation", ["v1", "v0", "openai"])
def test_a_model_that_nobody_knows_is_told_as_that(generation: Generation) -> None:
    """F7: and the hint says what to do, which is not to start LM Studio."""
    with LMStudio(generation, [QWEN]) as studio, lmstudio(studio.url) as asker:
        error = asker.no_answer("nobody/knows")

    assert error.code is ErrorCode.MODEL_NOT_FOUND
    assert "nobody/knows" in error.details["message"]
    assert error.hint is not None
    assert "List the models" in error.hint
