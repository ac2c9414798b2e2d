"""What the seed promises of LM Studio, to the letter, and the traps of its first implementation."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import (
    DeadlineExceeded,
    DevsynthError,
    ModelLoadFailed,
    ModelNotFound,
    NoModel,
    UpstreamAuth,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from tests.lmstudio import LMStudio, errors, faults, paths
from tests.lmstudio.script import Fault
from tests.service.lmstudio.asking import (
    EMBEDDER,
    GEMMA,
    LIMIT_S,
    QWEN,
    RARELY_S,
    answered,
    asked_models,
    codes,
    ids,
    model_in,
    refreshed,
)
from tests.support.daemon import start_daemon

QUICK_S = 0.2
AT_ONCE_S = 1.0
"""What takes ``QUICK_S`` is over within this; the trap took two seconds."""

# Which model -------------------------------------------------------------------------------


def test_first_available_model_is_selected(client: Client, studio: LMStudio) -> None:
    """F20: the first one in LM Studio's list is an embedding model, which chats with nobody."""
    listed = client.list()
    assert ids(listed) == [EMBEDDER, QWEN, GEMMA]
    assert (listed.selection.model, listed.selection.how) == (QWEN, "auto")

    studio.load(GEMMA)  # loaded comes before listed
    assert refreshed(client).selection.model == GEMMA
    answer = client.generate("x")

    assert (answer.model, codes(answer)) == (GEMMA, [])
    assert asked_models(studio) == [GEMMA]


def test_list_has_ids_names_and_owners(client: Client) -> None:
    model = model_in(client.list(), QWEN)

    assert (model.id, model.name, model.owner) == (QWEN, "Qwen3 4B", "qwen")


def test_local_model_and_a_warning_when_lm_studio_is_not_there(
    short_dir: Path, studio: LMStudio, caplog: pytest.LogCaptureFixture
) -> None:
    studio.stop()
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio") as daemon:
        listed = daemon.client().list()

    assert ids(listed) == ["local_model"]
    assert (listed.selection.model, listed.selection.how) == ("local_model", "fallback")
    (warning,) = listed.warnings
    assert warning.code == "fallback"
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    for told in (warning.message, record.getMessage()):
        assert studio.url in told
        assert "refused" in told


@pytest.mark.parametrize("by", ["request", "select", "setting"])
def test_named_model_that_is_missing_is_an_error(
    short_dir: Path, studio: LMStudio, by: str
) -> None:
    """F7, F21: it suggests to list the models, and LM Studio is not asked for an answer."""
    studio.load(GEMMA)  # LM Studio would have it answer to any name
    named = "qwen/qwen3-14b"
    model = named if by == "setting" else ""
    settings: dict[str, Any] = {"llm_model": model, "daemon_poll_interval": RARELY_S}
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", **settings) as daemon:
        client = daemon.client()
        if by == "select":
            client.select(named, persist=False, force=True)
        with pytest.raises(ModelNotFound) as caught:
            client.generate("x", model=named if by == "request" else None)
        if by != "request":
            assert client.list().selection.model == named

    assert named in str(caught.value)
    assert "list the models with `devsynthctl models`" in (caught.value.hint or "")
    assert caught.value.details["near"] == [QWEN]
    assert asked_models(studio) == []


@pytest.mark.parametrize("by", ["request", "select", "setting"])
def test_available_model_that_is_asked_for_is_never_replaced(
    short_dir: Path, studio: LMStudio, by: str
) -> None:
    studio.load(QWEN)
    model = GEMMA if by == "setting" else ""
    settings: dict[str, Any] = {"llm_model": model, "daemon_poll_interval": RARELY_S}
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", **settings) as daemon:
        client = daemon.client()
        if by == "select":
            client.select(GEMMA, persist=False)
        answer = client.generate("x", model=GEMMA if by == "request" else None)

    assert (answer.model, codes(answer)) == (GEMMA, [])
    assert asked_models(studio) == [GEMMA]


def test_model_is_chosen_anew_for_each_request(client: Client, studio: LMStudio) -> None:
    """F28."""
    for model in (QWEN, GEMMA, QWEN):
        studio.load(model)
        refreshed(client)
        assert client.generate("x").model == model
        studio.evict(model)

    assert asked_models(studio) == [QWEN, GEMMA, QWEN]


# The address -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["", "/", "/v1", "/v1/", "/api/v0", "/api/v1", "/api/v1/"])
def test_every_spelling_of_the_base_lists_and_answers(
    short_dir: Path, studio: LMStudio, path: str
) -> None:
    """F2, R2."""
    with start_daemon(short_dir, studio.url + path, llm_provider="lmstudio") as daemon:
        client = daemon.client()
        assert QWEN in ids(client.list())
        assert client.generate("x").text == "Hello world"

    assert {exchange.path for exchange in studio.requests()} == {
        paths.GREETING,
        paths.MODELS_V0,  # nothing is loaded: is that so?
        paths.MODELS_V1,
        paths.CHAT,
    }


def test_localhost_reaches_a_server_on_ipv4_only(short_dir: Path, studio: LMStudio) -> None:
    """F16."""
    url = studio.url.replace("127.0.0.1", "localhost")
    with start_daemon(short_dir, url, llm_provider="lmstudio") as daemon:
        began_s = time.monotonic()
        assert daemon.client().generate("x").text == "Hello world"
        assert time.monotonic() - began_s < AT_ONCE_S


# Health, time and trouble ------------------------------------------------------------------


@pytest.mark.parametrize("fault", [faults.plain_error("broken", 500), faults.not_json(500)])
def test_health_is_not_fine_on_a_500(client: Client, studio: LMStudio, fault: Fault) -> None:
    """F30: it is there, but it cannot list."""
    studio.next_fault(fault, path=paths.MODELS_V1)

    listed = refreshed(client)

    for source in (listed.source, client.status().source):
        assert (source.reachable, source.stale) == (True, True)
        assert source.error is not None
        assert source.error.code == "upstream_error"
        assert "500" in source.error.message or "broken" in source.error.message
    assert codes(listed) == ["stale"]
    assert QWEN in ids(listed)


@pytest.mark.parametrize("of", ["request", "setting"])
def test_timeout_ends_in_time(short_dir: Path, studio: LMStudio, of: str) -> None:
    settings: dict[str, Any] = {"llm_first_token_timeout": QUICK_S} if of == "setting" else {}
    with start_daemon(short_dir, studio.url, llm_provider="lmstudio", **settings) as daemon:
        client = daemon.client()
        client.list()
        studio.next_fault(faults.no_answer(), path=paths.CHAT)
        began_s = time.monotonic()
        with pytest.raises(DeadlineExceeded if of == "request" else UpstreamTimeout):
            client.generate("x", timeout=QUICK_S if of == "request" else None)
        assert QUICK_S / 2 < time.monotonic() - began_s < AT_ONCE_S
        studio.wait_disconnected()


def test_first_call_after_many_failures_is_tried(client: Client, studio: LMStudio) -> None:
    """F11: no circuit breaker."""
    studio.next_fault(faults.crashed(), path=paths.CHAT, times=100)
    with ThreadPoolExecutor(20) as threads:  # each pauses before it is asked once more
        asked = [threads.submit(client.generate, "x") for _ in range(20)]
        assert {type(each.exception(LIMIT_S)) for each in asked} == {UpstreamError}

    studio.script.faults.clear()

    assert client.generate("x").text == "Hello world"


def test_first_call_after_lm_studio_is_back_is_tried(client: Client, studio: LMStudio) -> None:
    """F30: no circuit breaker; only the failure of the last second counts."""
    studio.stop()
    for _ in range(20):
        with pytest.raises(UpstreamUnavailable):
            client.generate("x")

    studio.start()

    assert client.generate("x", wait=LIMIT_S).text == "Hello world"
    assert answered(client).text == "Hello world"


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        pytest.param(faults.plain_error("no such thing", 404), UpstreamError, id="any"),
        pytest.param(
            faults.object_error(f'Model "{QWEN}" not found.', "model_not_found", 404),
            ModelNotFound,
            id="model",
        ),
    ],
)
def test_404_is_not_sent_again(
    client: Client, studio: LMStudio, fault: Fault, error: type[DevsynthError]
) -> None:
    """R10."""
    studio.next_fault(fault, path=paths.CHAT)

    with pytest.raises(error) as caught:
        client.generate("x")

    assert not caught.value.retryable
    assert len(asked_models(studio)) == 1


def test_missing_model_is_not_a_missing_lm_studio(client: Client, studio: LMStudio) -> None:
    """F21: nobody is sent to look whether LM Studio runs, when a model is what is missing."""
    gone = faults.object_error(f'Model "{QWEN}" not found.', "model_not_found", 404)
    studio.next_fault(gone, path=paths.CHAT)
    asks: list[Callable[[], object]] = [
        lambda: client.generate("x", model=QWEN),
        lambda: client.generate("x", model="no/such"),
        lambda: client.select("no/such", persist=False),
        lambda: client.load("no/such"),
    ]
    for ask in asks:
        with pytest.raises(ModelNotFound) as caught:
            ask()
        told = f"{caught.value} {caught.value.hint}".lower()
        assert "list the models" in told
        assert "running" not in told
        assert "check that" not in told


@pytest.mark.parametrize(
    ("fault", "error", "advice"),
    [
        pytest.param(faults.unauthorized(), UpstreamAuth, "llm_api_key", id="auth"),
        pytest.param(faults.forbidden(), UpstreamAuth, "llm_api_key", id="forbidden"),
        pytest.param(faults.not_json(), UpstreamError, "llm_api_base", id="a web page"),
        pytest.param(faults.unexpected_endpoint(), UpstreamError, "llm_api_base", id="E1"),
        pytest.param(faults.no_models_loaded(), NoModel, "devsynthctl load", id="nothing loaded"),
        pytest.param(
            faults.object_error(f"Failed to load model. Error: {errors.INSUFFICIENT_RESOURCES}"),
            ModelLoadFailed,
            "smaller",
            id="memory",
        ),
    ],
)
def test_trouble_is_told_with_what_to_do(
    client: Client, studio: LMStudio, fault: Fault, error: type[DevsynthError], advice: str
) -> None:
    """F1, F3, F5, F15: what failed, where, and what to do next; sent once."""
    studio.next_fault(fault, path=paths.CHAT)

    with pytest.raises(error) as caught:
        client.generate("x")

    assert type(caught.value) is error
    assert studio.url in str(caught.value)
    assert advice in (caught.value.hint or "")
    assert len(asked_models(studio)) == 1
