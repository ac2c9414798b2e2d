"""The line at the end of each request, and what it must not say."""

import logging
from typing import Any

import pytest

from devsynthd.host.log_event import event_of
from devsynthd.host.redaction import Redaction
from devsynthd.service.call import Call, Envelope
from devsynthd.service.call_lines import log_begun, log_ended, log_refused
from devsynthd.wire.codec import Encoding, request_id
from devsynthd.wire.errors import (
    BadRequest,
    Cancelled,
    DevsynthError,
    Incomplete,
    ShuttingDown,
    UpstreamError,
    UpstreamUnavailable,
)
from devsynthd.wire.objects import Timing, Usage
from devsynthd.wire.requests import (
    AnyRequest,
    Cancel,
    ConfigGet,
    ConfigSet,
    ContentPart,
    Download,
    Embed,
    Generate,
    List,
    Load,
    Message,
    Ping,
    Reload,
    Select,
    Shutdown,
    Status,
    Subscribe,
    Unload,
)
from devsynthd.wire.results import AnyResult, Completion, Empty, PackedEmbeddings
from tests.unit.service.watching import Watcher

TIMING = Timing(
    queued_s=0.1, waiting_s=0.2, streaming_s=0.93456, total_s=1.23456, tokens_per_s=None
)
USAGE = Usage(prompt_tokens=3, completion_tokens=16, total_tokens=19)
COMPLETION = Completion(
    model="m",
    text="the answer",
    reasoning=None,
    tool_calls=(),
    finish_reason="stop",
    usage=USAGE,
    timing=TIMING,
    fallback=False,
    warnings=(),
)
GENERATE = Generate(id=1, prompt="the prompt", model="m", client="editor 1.0")


class Told:
    """What was logged: level, text and fields."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog

    def lines(self) -> list[tuple[str, str, dict[str, Any]]]:
        events = [event_of(record, Redaction()) for record in self._caplog.records]
        self._caplog.clear()
        return [(each.level, each.message, each.fields) for each in events]


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture) -> Told:
    caplog.set_level("INFO", "devsynthd")
    return Told(caplog)


def call_of(request: AnyRequest) -> Call:
    watcher = Watcher()
    watcher.pid = 42
    return Call(Envelope(watcher, Encoding.JSON, delimiter=False), request, request_id(request), 7)


def succeeded(request: AnyRequest, result: AnyResult) -> Call:
    call = call_of(request)
    call.succeed(result)
    log_ended(call, result)
    return call


def failed(request: AnyRequest, error: DevsynthError) -> None:
    call = call_of(request)
    call.fail(error)
    log_ended(call, None)


def test_a_generation_has_one_line_with_all_that_is_known(told: Told) -> None:
    log_begun(call_of(GENERATE))
    succeeded(GENERATE, COMPLETION)

    (line,) = told.lines()
    assert line == (
        "info",
        "generate done",
        {
            "request": 7,
            "op": "generate",
            "model": "m",
            "client": "editor 1.0",
            "client_pid": 42,
            "state": "done",
            "total_s": 1.235,
            "tokens": 16,
        },
    )


def test_vectors_have_the_tokens_of_their_texts(told: Told) -> None:
    result = PackedEmbeddings(model="e", embeddings=(), usage=USAGE, warnings=())
    succeeded(Embed(id=1, input="the prompt"), result)

    ((_, text, fields),) = told.lines()
    assert text == "embed done"
    assert fields["tokens"] == 3


@pytest.mark.parametrize(
    ("error", "text", "state"),
    [
        (UpstreamUnavailable("x: refused"), "generate failed: x: refused", "failed"),
        (Cancelled("the client left"), "generate cancelled: the client left", "cancelled"),
        (
            UpstreamError("it says: Bad: the prompt", details={"message": "Bad: the prompt"}),
            "generate failed: it says",
            "failed",
        ),
        (
            Incomplete("the answer broke off: Bad: the prompt", details={"cause": "no_model"}),
            "generate failed: the answer broke off: no_model",
            "failed",
        ),
        (BadRequest("no such: the prompt"), "generate failed", "failed"),
    ],
)
def test_a_failure_has_its_code_and_no_text_but_ours(
    told: Told, error: DevsynthError, text: str, state: str
) -> None:
    failed(GENERATE, error)

    ((level, message, fields),) = told.lines()
    assert (level, message) == ("info", text)
    assert (fields["state"], fields["error"]) == (state, str(error.code))


def test_what_the_next_daemon_will_be_asked_is_told_at_debug_only(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    failed(GENERATE, ShuttingDown("the daemon is shutting down"))
    assert told.lines() == []

    caplog.set_level("DEBUG", "devsynthd")
    failed(GENERATE, ShuttingDown("the daemon is shutting down"))
    assert [level for level, _, _ in told.lines()] == ["debug", "debug"]


@pytest.mark.parametrize(
    "request_",
    [
        Load(id=1, model="m"),
        Unload(id=1, model="m"),
        Download(id=1, model="m"),
        Select(id=1, model="m"),
        ConfigSet(id=1, key="llm_api_key", value="hunter2"),
        Reload(id=1),
        Shutdown(id=1),
    ],
)
def test_what_changes_something_has_a_line(told: Told, request_: AnyRequest) -> None:
    call = succeeded(request_, Empty())

    ((level, text, fields),) = told.lines()
    assert (level, text) == ("info", f"{call.op} done")
    assert "hunter2" not in str(fields)


@pytest.mark.parametrize(
    "request_",
    [
        Ping(id=1),
        Status(id=1),
        List(id=1),
        Cancel(id=1, target=2),
        ConfigGet(id=1),
        Subscribe(id=1),
    ],
)
def test_what_only_asks_has_a_line_at_debug(
    told: Told, caplog: pytest.LogCaptureFixture, request_: AnyRequest
) -> None:
    succeeded(request_, Empty())
    log_refused(Watcher(), BadRequest("no map"))
    assert told.lines() == []

    caplog.set_level(logging.DEBUG, "devsynthd")
    call = succeeded(request_, Empty())
    ((level, text, _),) = told.lines()
    assert (level, text) == ("debug", f"{call.op} done")


def test_the_daemons_own_questions_have_none(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "devsynthd")
    call = call_of(Ping(id=1))
    call.client.is_own = True
    call.succeed(Empty())
    log_ended(call, Empty())

    assert told.lines() == []


def test_a_refused_message_has_a_line_at_debug(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "devsynthd")
    log_refused(Watcher(), BadRequest("no map"))

    ((level, text, fields),) = told.lines()
    assert (level, text) == ("debug", "a request was refused: no map")
    assert fields["error"] == "bad_request"


@pytest.mark.parametrize(
    "request_",
    [
        GENERATE,
        Generate(id=1, messages=[Message(role="user", content="the prompt")]),
        Generate(
            id=1,
            messages=[
                Message("user", [ContentPart("image_url"), ContentPart("text", "the prompt")])
            ],
        ),
    ],
)
def test_at_debug_prompt_and_answer_begin(
    told: Told, caplog: pytest.LogCaptureFixture, request_: Generate
) -> None:
    caplog.set_level(logging.DEBUG, "devsynthd")
    call = call_of(request_)
    log_begun(call)
    for piece in ("the ", "answer", "." * 5000):
        call.text.add(piece)
    call.succeed(COMPLETION)
    log_ended(call, COMPLETION)

    begun, ended, answered = told.lines()
    assert (begun[1], begun[2]["prompt"], begun[2]["request"]) == ("a prompt", "the prompt", 7)
    assert ended[1] == "generate done"
    assert answered[2]["answer"].startswith("the answer...")
    assert len(answered[2]["answer"]) == 2000
    assert "the answer" not in str(ended)


def test_a_failure_at_debug_tells_all(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "devsynthd")
    failed(GENERATE, UpstreamError("it says: no prompt", details={"message": "no prompt"}))

    ended, told_all = told.lines()
    assert ended[:2] == ("info", "generate failed: it says")
    assert told_all[:2] == ("debug", "an error")
    assert told_all[2]["error"] == "it says: no prompt"
