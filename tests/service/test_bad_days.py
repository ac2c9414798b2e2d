"""An upstream that is down, hangs, breaks off or answers nonsense: the right code each time."""

import logging
from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import RARELY_S, error, result, told, until_answered
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_replies import (
    Reply,
    cut_after,
    error_event,
    events,
    html,
    raw,
    reset_after,
    silence,
    silence_after,
    status,
    unauthorized,
)
from tests.support.upstream_server import UpstreamServer, deaf_port, free_port

PATIENCE_S = 0.2

BROKEN = {"error": {"message": "the <b>GPU</b> is\non fire", "code": "oops"}}
NO_SUCH_MODEL = {"error": {"message": "model 'a' not found", "code": "model_not_found"}}
TOO_LONG = {"error": {"message": "the prompt exceeds the available context size"}}


def generate(
    folder: Path,
    url: UpstreamServer | str,
    *,
    sends: int = 1,
    **settings: Any,  # noqa: ANN401 - any setting
) -> dict[str, Any]:
    """Return the error of a streamed generation; it must be the same without streaming.

    *sends* is how often the upstream may at most see each of the two.
    """
    settings = {
        "llm_first_token_timeout": PATIENCE_S,
        "llm_idle_timeout": PATIENCE_S,
        "daemon_poll_interval": RARELY_S,
    } | settings
    with start_daemon(folder, url, **settings) as daemon:
        dealer = daemon.dealer()
        plain = error(dealer.ask(op="generate", id=1, prompt="x"))
        dealer.send(op="generate", id=2, prompt="x", stream=True)
        *chunks, last = until_answered(dealer, 2)
        streamed = error(last)

        assert result(dealer.ask(op="ping", id=3))
        assert result(dealer.ask(op="status", id=4))["queue"]["running"] == 0
        if isinstance(url, UpstreamServer):
            assert 2 <= len(url.generations) <= 2 * sends
            url.script.clear()
            assert result(dealer.ask(op="generate", id=5, prompt="x"))["text"] == "Hello world"
    assert streamed == plain
    assert told(chunks) == streamed["details"].get("text", "")
    assert streamed["hint"]
    return streamed


@pytest.mark.parametrize(
    ("reply", "code", "retryable", "says"),
    [
        pytest.param(silence(), "upstream_timeout", True, "first token", id="hangs"),
        pytest.param(silence_after(), "upstream_timeout", True, "first token", id="hangs later"),
        pytest.param(cut_after(), "upstream_error", False, "cut off", id="cuts at once"),
        pytest.param(html(), "upstream_error", False, "HTML", id="HTML with 200"),
        pytest.param(html(502), "upstream_error", False, "HTML", id="HTML with 502"),
        pytest.param(status(500, BROKEN), "upstream_error", False, "the GPU is on fire", id="500"),
        pytest.param(status(200, BROKEN), "upstream_error", False, "GPU", id="error with 200"),
        pytest.param(status(404, NO_SUCH_MODEL), "model_not_found", False, "'a'", id="404"),
        pytest.param(status(400, TOO_LONG), "context_overflow", False, "context", id="too long"),
        pytest.param(status(503, b"", "text/plain"), "upstream_error", False, "503", id="503"),
        pytest.param(status(401, {"error": "no"}), "upstream_auth", False, "API key", id="401"),
        pytest.param(status(403, {"error": "no"}), "upstream_auth", False, "API key", id="403"),
        pytest.param(
            error_event(error={"message": "out of memory"}),
            "upstream_error",
            False,
            "out of memory",
            id="error in the stream",
        ),
        pytest.param(events("[DONE]"), "upstream_error", False, "nothing", id="no answer"),
        pytest.param(raw(b"SSH-2.0-x\r\n"), "upstream_error", False, "not HTTP", id="no HTTP"),
    ],
)
def test_failure_before_the_first_token(
    short_dir: Path,
    upstream: UpstreamServer,
    reply: Reply,
    code: str,
    says: str,
    *,
    retryable: bool,
) -> None:
    upstream.script.extend([reply, reply])

    problem = generate(short_dir, upstream)

    assert problem["code"] == code
    assert problem["retryable"] is retryable
    assert upstream.url in problem["message"]
    assert says in problem["message"]
    assert "\n" not in problem["message"]
    assert "<b>" not in problem["message"]


@pytest.mark.parametrize(
    "reply",
    [pytest.param(reset_after(), id="resets"), pytest.param(raw(), id="closes")],
)
def test_connection_ends_before_the_first_token(
    short_dir: Path, upstream: UpstreamServer, reply: Reply
) -> None:
    upstream.script.extend([reply] * 4)

    # A kept connection may have been closed before the request came: it is sent once more.
    problem = generate(short_dir, upstream, sends=2)

    assert problem["code"] == "upstream_unavailable"
    assert problem["retryable"] is True
    assert f"{upstream.url} closed the connection" in problem["message"]


def test_answer_that_is_no_json(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(events("{oops"))

    problem = error(dealer.ask(op="generate", id=1, prompt="x"))

    assert problem["code"] == "upstream_error"
    assert "not JSON" in problem["message"]
    assert problem["details"] == {"status": 200, "message": "{oops"}


def test_status_and_message_are_in_the_details(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.script.extend([status(500, BROKEN)] * 2)

    assert generate(short_dir, upstream)["details"] == {
        "status": 500,
        "message": "the GPU is on fire",
    }


@pytest.mark.parametrize(
    ("reply", "cause", "says"),
    [
        pytest.param(
            silence_after("Hel", "lo"), "upstream_timeout", "did not come within", id="hangs"
        ),
        pytest.param(reset_after("Hel", "lo"), "upstream_unavailable", "closed", id="resets"),
        pytest.param(cut_after("Hel", "lo"), "upstream_error", "cut off", id="cuts"),
        pytest.param(
            error_event("Hel", "lo", error={"message": "out of memory"}),
            "upstream_error",
            "out of memory",
            id="error in the stream",
        ),
        pytest.param(
            error_event("Hel", "lo", error={"message": "killed"}, name="error"),
            "upstream_error",
            "killed",
            id="error event",
        ),
    ],
)
def test_failure_after_the_first_token(
    short_dir: Path, upstream: UpstreamServer, reply: Reply, cause: str, says: str
) -> None:
    upstream.script.extend([reply, reply])

    problem = generate(short_dir, upstream)

    assert problem["code"] == "incomplete"
    assert problem["retryable"] is True
    assert problem["details"] == {"cause": cause, "text": "Hello"}
    assert upstream.url in problem["message"]
    assert says in problem["message"]


def test_refused(short_dir: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}/v1"

    problem = generate(short_dir, url)

    assert problem["code"] == "upstream_unavailable"
    assert problem["retryable"] is True
    assert url in problem["message"]
    assert "refused" in problem["message"]
    assert "running" in problem["hint"]


def test_unknown_host(short_dir: Path) -> None:
    problem = generate(short_dir, "http://no-such-host.invalid:1/v1")

    assert problem["code"] == "upstream_unavailable"
    assert "http://no-such-host.invalid:1/v1" in problem["message"]


def test_neither_accepted_nor_refused(short_dir: Path) -> None:
    with deaf_port() as port:
        url = f"http://127.0.0.1:{port}/v1"
        with start_daemon(short_dir, url, llm_connect_timeout=0.2) as daemon:
            dealer = daemon.dealer()
            dealer.ask(op="list", id=1, refresh=True)

            problem = error(dealer.ask(op="generate", id=2, prompt="x"))

    assert problem["code"] == "upstream_unavailable"
    assert url in problem["message"]
    assert "llm_connect_timeout" in problem["hint"]


@pytest.mark.parametrize(
    ("models", "code"),
    [
        pytest.param(html(), "upstream_error", id="HTML"),
        pytest.param(status(500, {"error": "broken"}), "upstream_error", id="500"),
        pytest.param(unauthorized(), "upstream_auth", id="401"),
    ],
)
def test_upstream_that_cannot_list(
    dealer: Dealer, upstream: UpstreamServer, models: Reply, code: str
) -> None:
    upstream.models_reply = models

    listed = result(dealer.ask(op="list", id=1, refresh=True))

    assert listed["source"]["reachable"] is True
    assert listed["source"]["error"]["code"] == code
    assert upstream.url in listed["source"]["error"]["message"]
    assert listed["warnings"]


def test_key_is_never_told(
    short_dir: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "lm-0123456789abcdef"
    upstream.script.extend([unauthorized()] * 2)

    problem = generate(short_dir, upstream, llm_api_key=key)

    assert upstream.wait_generation().headers["authorization"] == f"Bearer {key}"
    assert problem["code"] == "upstream_auth"
    assert "llm_api_key" in problem["hint"]
    assert key not in str(problem)
    assert key not in caplog.text
    assert key[3:] not in str(problem) + caplog.text


def test_key_is_not_in_status_or_list_either(
    short_dir: Path, upstream: UpstreamServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = "lm-0123456789abcdef"
    upstream.models_reply = unauthorized()
    with start_daemon(short_dir, upstream, llm_api_key=key) as daemon:
        dealer = daemon.dealer()
        replies = [
            dealer.ask(op="list", id=1),
            dealer.ask(op="status", id=2),
            dealer.ask(op="generate", id=3, prompt="x"),
        ]

    assert key not in str(replies)
    assert key not in caplog.text
