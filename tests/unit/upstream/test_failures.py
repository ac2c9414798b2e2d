import json
import time
from typing import Any

import pytest

from devsynthd.upstream.failures import MAX_SAID_BYTES, ModelGone, failure_of, incomplete
from devsynthd.wire.errors import (
    ContextOverflow,
    DevsynthError,
    ModelLoadFailed,
    ModelNotFound,
    NoModel,
    NotSupported,
    UpstreamAuth,
    UpstreamError,
    UpstreamUnavailable,
)

ADDRESS = "http://127.0.0.1:1234/v1"


def _meaning(
    status: int,
    body: Any,  # noqa: ANN401 - JSON is anything
    content_type: str = "application/json",
    secrets: tuple[str, ...] = (),
) -> DevsynthError:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failure_of(status, content_type, data, address=ADDRESS, secrets=secrets)


@pytest.mark.parametrize(
    ("status", "told"),
    [(429, " (status 429)"), (400, " (status 400)"), (500, " (status 500)"), (200, "")],
)
def test_an_error_is_told_with_its_status(status: int, told: str) -> None:
    error = _meaning(status, {"error": {"message": "slow down"}})

    assert str(error) == f"{ADDRESS} answered with an error{told}: slow down"


ERRORS: list[tuple[int, Any, type[DevsynthError], str]] = [
    # an unknown path, which LM Studio answers with 200
    (
        200,
        {"error": "Unexpected endpoint or method. (GET /models)"},
        UpstreamError,
        "does not know this address",
    ),
    (400, {"error": "'messages' field is required"}, UpstreamError, "'messages' field is required"),
    (500, {"error": {"message": "boom", "code": None}}, UpstreamError, "boom"),
    (500, {"error": {"error_message": "boom"}}, UpstreamError, "boom"),
    (500, {"error": {"oddly": "told"}}, UpstreamError, "oddly"),
    (500, {"error": 7}, UpstreamError, "7"),
    (
        400,
        {"error": '[{"code":"a","message":"First."},{"message":"Second."},3]'},
        UpstreamError,
        "First.; Second.",
    ),
    (400, {"error": "[not a list"}, UpstreamError, "[not a list"),
    (400, {"object": "error", "message": "vLLM says no"}, UpstreamError, "vLLM says no"),
    (404, {"detail": "Not Found"}, UpstreamError, "Not Found"),
    (200, {"error": {"code": "invalid_api_key", "message": "x"}}, UpstreamAuth, "API key"),
    (401, b"", UpstreamAuth, "API key"),
    (403, b"<html>", UpstreamAuth, "API key"),
    (
        404,
        {
            "error": {
                "message": 'Model "x" not found. Please specify a valid model.',
                "type": "invalid_request_error",
                "param": "model",
                "code": "model_not_found",
            }
        },
        ModelNotFound,
        "does not have the model",
    ),
    (404, {"error": {"message": "The model `x` does not exist."}}, ModelNotFound, "`x`"),
    (404, {"error": {"message": 'model "x" not found, try pulling it first'}}, ModelNotFound, "x"),
    (404, {"error": {"message": "file not found"}}, UpstreamError, "file not found"),
    (
        400,
        {
            "error": {
                "message": "No models loaded. Please load a model in the developer page or use the"
                " 'lms load' command.",
                "type": "invalid_request_error",
                "param": "model",
                "code": None,
            }
        },
        NoModel,
        "no model is loaded",
    ),
    (
        400,
        {"error": {"message": 'Failed to load model "x". Error: Operation canceled.'}},
        ModelLoadFailed,
        "Operation canceled",
    ),
    (
        400,
        {"error": "Model loading was stopped due to insufficient system resources"},
        ModelLoadFailed,
        "insufficient",
    ),
    (
        400,
        {"error": "Trying to keep the first 9 tokens when context the overflows"},
        ContextOverflow,
        "does not fit",
    ),
    (
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the"
            " context length (n_keep: 9>= n_ctx: 4)"
        },
        ContextOverflow,
        "n_keep: 9>= n_ctx: 4",
    ),
    (200, {"error": {"message": "Context size has been exceeded."}}, ContextOverflow, "exceeded"),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "the request exceeds the available context size",
                "type": "exceed_context_size_error",
            }
        },
        ContextOverflow,
        "available context size",
    ),
    (
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens."},
        ContextOverflow,
        "4096",
    ),
    (
        503,
        {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}},
        UpstreamUnavailable,
        "still loading",
    ),
    (
        501,
        {
            "error": {
                "code": 501,
                "message": "Infill is not supported by this model: suffix token is missing.",
                "type": "not_supported_error",
            }
        },
        NotSupported,
        "does not fill in the middle with this model",
    ),
    (
        400,
        {"error": {"message": "library/llama3.2:latest does not support insert", "code": None}},
        NotSupported,
        "does not fill in the middle with this model",
    ),
    (
        400,
        {"object": "error", "message": "suffix is not currently supported", "code": 400},
        NotSupported,
        "does not fill in the middle with this model",
    ),
    (
        501,
        {
            "error": {
                "code": 501,
                "message": "This server does not support embeddings. Start it with `--embeddings`",
                "type": "not_supported_error",
            }
        },
        NotSupported,
        "Start it with `--embeddings`",
    ),
]


@pytest.mark.parametrize(("status", "body", "kind", "says"), ERRORS)
def test_an_error_body_is_told_by_what_it_says(
    status: int,
    body: Any,  # noqa: ANN401 - JSON is anything
    kind: type[DevsynthError],
    says: str,
) -> None:
    error = _meaning(status, body)

    assert type(error) is kind
    assert says in str(error)
    assert ADDRESS in str(error)
    assert error.hint
    if kind is not UpstreamAuth:
        assert error.details["status"] == status


CRASHED = "The model has crashed without additional information. (Exit code: null)"
# Whether the model is likely to be back at once. The code is the same.
GONE: list[tuple[str, bool]] = [
    ("Model reloaded.", True),
    ("Model unloaded.", True),
    ("Model is unloaded.", True),
    ("Model has unloaded or crashed.", True),
    (CRASHED, True),
    (CRASHED.replace("null", "6"), True),
    ("Channel Error", False),
    ('Error rendering prompt with jinja template: "No user query found in messages.".', False),
    ("Context size has been exceeded.", False),
    (f'Failed to load model "x". Error: {CRASHED}', False),
    ("No models loaded. Please load a model in the developer page", False),
    ("The model crashed on purpose", False),
]


@pytest.mark.parametrize(("text", "is_gone"), GONE)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_a_model_that_went_away_is_told_from_all_else(
    text: str,
    is_gone: bool,  # noqa: FBT001 - a column
    status: int,
) -> None:
    for error in (text, {"message": text, "type": "invalid_request_error", "code": None}):
        found = _meaning(status, {"error": error})

        assert isinstance(found, ModelGone) == is_gone
        assert not is_gone or found.code == "upstream_error"
        assert text in str(found)


@pytest.mark.parametrize(
    ("content_type", "body", "got"),
    [
        ("text/html", b"<html><title>nginx</title></html>", "an HTML page"),
        ("", b"  <!doctype html>", "an HTML page"),
        ("application/json", b"", "an empty body"),
        ("text/plain", b" \n", "an empty body"),
        ("text/plain", b"404 page not found", "text that is not JSON"),
        ("text/plain", b"\xff\xfe\x00", "text that is not JSON"),
        ("application/json", b"[1]", "JSON that is no answer"),
        ("application/json", b'{"models": []}', "JSON that is no answer"),
        ("application/json", b"[" * 100_000, "text that is not JSON"),
    ],
)
def test_what_is_not_the_api_is_named(content_type: str, body: bytes, got: str) -> None:
    error = _meaning(200, body, content_type)

    assert type(error) is UpstreamError
    assert f"{ADDRESS} is not the API" in str(error)
    assert got in str(error)
    assert error.hint is not None
    assert "llm_api_base" in error.hint


@pytest.mark.parametrize(
    ("status", "content_type", "body", "said"),
    [
        (500, "text/plain", b"Internal Server Error", "status 500: Internal Server Error"),
        (502, "text/html", b"<html>Bad Gateway</html>", "status 502 and an HTML page"),
        (503, "", b"", "status 503 and an empty body"),
    ],
)
def test_a_server_that_fails_is_not_taken_for_another_one(
    status: int, content_type: str, body: bytes, said: str
) -> None:
    error = _meaning(status, body, content_type)

    assert type(error) is UpstreamError
    assert str(error) == f"{ADDRESS} failed with {said}"
    assert "log" in str(error.hint)
    assert error.details is not None
    assert error.details["status"] == status


def test_a_server_of_files_is_not_the_api() -> None:
    error = _meaning(501, b"<html>Unsupported method ('POST')</html>", "text/html")

    assert f"{ADDRESS} is not the API" in str(error)


def test_a_refused_key_is_never_repeated() -> None:
    body = {"error": {"code": "invalid_api_key", "message": "Malformed: sk-lm-abcd1234****"}}
    error = _meaning(401, body, secrets=("sk-lm-abcd1234:xyz",))

    assert "abcd" not in f"{error} {error.hint} {error.details}"
    assert "does not accept" in str(error)
    assert "none is set" in str(_meaning(401, body))


def test_the_servers_words_come_cleaned_and_without_secrets() -> None:
    error = _meaning(
        500, {"error": "\x1b[31m<b>no</b>\nkey hunter2 \ud800" + "x" * 999}, secrets=("hunter2",)
    )

    assert error.details["message"].startswith("no key *** xxx")
    assert "hunter2" not in str(error)
    assert len(error.details["message"]) == 300


def test_a_failure_after_the_first_delta_keeps_its_cause() -> None:
    error = incomplete(ContextOverflow("full", hint="shorten it"))

    assert error.details == {"cause": "context_overflow"}
    assert error.hint == "shorten it"
    assert "full" in str(error)


def test_no_more_of_a_body_is_looked_at_than_anybody_says() -> None:
    body = b'{"error":{"message":"out of memory"},"more":"%b"}'

    assert "out of memory" in str(_meaning(500, body % b"x"))
    assert "not JSON" in str(_meaning(400, body % (b"x" * MAX_SAID_BYTES)))


@pytest.mark.parametrize("text", ["model ", "model not ", "failed to load ", "x"])
def test_what_a_long_message_means_is_told_in_no_time(text: str) -> None:
    body = json.dumps({"error": {"message": text * (900_000 // len(text))}}).encode()
    started = time.process_time()

    error = failure_of(500, "application/json", body, address=ADDRESS)

    assert time.process_time() - started < 1
    assert len(str(error)) < 500
