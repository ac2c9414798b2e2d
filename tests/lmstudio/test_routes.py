"""Which routes a generation has, and who may use them."""

import pytest

from tests.lmstudio import paths
from tests.lmstudio.asking import QWEN, TOKEN, Client, chat_body
from tests.lmstudio.paths import Generation
from tests.lmstudio.studio import LMStudio


@pytest.mark.parametrize(
    ("generation", "known"),
    [
        ("openai", {paths.MODELS}),
        ("v0", {paths.MODELS, paths.MODELS_V0}),
        ("v1", {paths.MODELS, paths.MODELS_V0, paths.MODELS_V1}),
    ],
)
def test_generations_differ_in_their_lists(generation: Generation, known: set[str]) -> None:
    with LMStudio(generation, [QWEN]) as studio, Client(studio) as client:
        for path in (paths.MODELS, paths.MODELS_V0, paths.MODELS_V1):
            answer = client.ask("GET", path)
            assert answer.status_code == 200
            unexpected = {"error": f"Unexpected endpoint or method. (GET {path})"}
            assert (answer.json() != unexpected) == (path in known)
        assert client.get(paths.GREETING) == {"lmstudio": True}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1/models/unload"),
        ("POST", "/v1/models/load"),  # the native routes begin with /api
        ("POST", "/chat/completions"),  # a base without /v1
        ("GET", "/v1//models"),
        ("OPTIONS", "/v1/models"),
        ("DELETE", "/v1/models"),
        ("GET", paths.STATUS),
        ("POST", f"{paths.MODELS_V0}/{QWEN}"),
    ],
)
def test_an_unknown_route_is_an_error_with_a_status_of_200(
    client: Client, method: str, path: str
) -> None:
    answer = client.ask(method, path)

    assert answer.status_code == 200
    assert answer.json() == {"error": f"Unexpected endpoint or method. ({method} {path})"}


@pytest.mark.parametrize("path", [paths.MODELS, "/nowhere"])
def test_every_answer_has_the_headers_of_the_server(client: Client, path: str) -> None:
    headers = client.ask("GET", path).headers

    assert headers["X-Powered-By"] == "Express"
    assert headers["Keep-Alive"] == "timeout=5"
    assert headers["Content-Type"] == "application/json; charset=utf-8"


def test_the_version_is_told_where_the_build_does_so(studio: LMStudio, client: Client) -> None:
    studio.quirks.status_version = "0.4.4+1"

    assert client.get(paths.STATUS) == {"package": "lmstudio", "version": "0.4.4+1"}


@pytest.mark.parametrize("path", [paths.MODELS, paths.MODELS_V0, paths.MODELS_V1])
@pytest.mark.parametrize(
    ("offered", "text"),
    [
        (None, "An LM Studio API token is required"),
        ("lm-studio", "Malformed LM Studio API token provided: lm-studi"),
    ],
)
def test_without_a_good_token_every_family_answers_401(
    studio: LMStudio, client: Client, path: str, offered: str | None, text: str
) -> None:
    studio.require_token(TOKEN)

    answer = client.ask("GET", path, token=offered)

    assert answer.status_code == 401
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("invalid_request", "invalid_api_key")
    assert error["message"].startswith(text)


def test_a_good_token_opens_and_the_greeting_needs_none(studio: LMStudio, client: Client) -> None:
    studio.require_token(TOKEN)

    assert "models" in client.ask("GET", paths.MODELS_V1, token=TOKEN).json()
    assert client.get(paths.GREETING) == {"lmstudio": True}
    assert client.ask("POST", paths.CHAT, chat_body()).status_code == 401


def test_what_is_unsure_about_tokens_can_be_switched(studio: LMStudio, client: Client) -> None:
    studio.require_token(TOKEN)
    studio.quirks.greeting_needs_token = True
    assert client.ask("GET", paths.GREETING).status_code == 401

    studio.quirks.unauthorized_is_unexpected = True
    answer = client.ask("GET", paths.MODELS_V1)
    assert answer.status_code == 200
    assert answer.json()["error"].startswith("Unexpected endpoint")


def test_any_token_will_do_where_none_is_required(client: Client) -> None:
    assert "models" in client.ask("GET", paths.MODELS_V1, token=TOKEN).json()


def test_older_generations_have_no_tokens() -> None:
    studio = LMStudio("v0")

    with pytest.raises(ValueError, match=r"0\.4\.0"):
        studio.require_token(TOKEN)
