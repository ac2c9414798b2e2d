"""A server that wants a token: told as that, at once, and without a word of the token."""

import json
from collections.abc import Callable

import pytest

from devsynthd.wire.errors import DevsynthError, ErrorCode
from tests.lmstudio import LMStudio, errors, faults, paths
from tests.lmstudio.asking import QWEN, TOKEN
from tests.lmstudio.paths import Generation
from tests.lmstudio.script import Fault
from tests.support.upstream_replies import redirect, status
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import asked, lmstudio

GREET = f"GET {paths.GREETING}"
V1, V0, OPENAI = (f"GET {path}" for path in (paths.MODELS_V1, paths.MODELS_V0, paths.MODELS))
PLAIN = "correct-horse-7f3a9c51"
WRONG = "sk-lm-wrongone:09876543210987654321"


def _says_nothing_of(token: str, error: DevsynthError) -> bool:
    told = f"{error} {error.hint} {json.dumps(error.details)}"
    return not any(token[start : start + 8] in told for start in range(len(token) - 7))


@pytest.mark.parametrize("api_key", ["", WRONG, "lm-studio"])
def test_a_refused_token_is_told_and_no_older_route_is_tried(api_key: str) -> None:
    """F15, R13: its text repeats a part of the token, so it is not handed on."""
    with LMStudio("v1") as studio, lmstudio(studio.url, api_key=api_key) as asker:
        studio.require_token(TOKEN)
        error = asker.no_list()

        assert error.code is ErrorCode.UPSTREAM_AUTH
        assert error.hint is not None
        assert "llm_api_key" in error.hint
        assert "Malformed" not in str(error)
        assert error.details == {}
        assert not api_key or _says_nothing_of(api_key, error)
        assert asked(studio) == [GREET, V1]

        assert asker.no_list().code is ErrorCode.UPSTREAM_AUTH
        assert asked(studio) == [GREET, V1, V1]


@pytest.mark.parametrize("refusal", [faults.unauthorized(), faults.forbidden()])
@pytest.mark.parametrize(
    ("generation", "path", "tried"),
    [
        ("v1", paths.MODELS_V1, [GREET, V1]),
        ("v0", paths.MODELS_V0, [GREET, V1, V0]),
        ("openai", paths.MODELS, [GREET, V1, V0, OPENAI]),
    ],
)
def test_each_generation_may_refuse(
    generation: Generation, path: str, tried: list[str], refusal: Fault
) -> None:
    """F15: a gateway in front of it asks for a token whatever the version."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        studio.next_fault(refusal, path=path, times=2)
        for _ in range(2):
            assert asker.no_list().code is ErrorCode.UPSTREAM_AUTH
        assert asked(studio) == [*tried, f"GET {path}"]

        assert asker.loaded()[QWEN] is not False
        assert asked(studio) == [*tried, f"GET {path}", f"GET {path}"]


def test_a_refusal_with_status_200_is_one_by_its_code() -> None:
    """F15, F1, R1: the body tells."""
    refused = errors.bad_token("Bearer x")
    hidden = faults.refuse(errors.Refused(200, refused.body))
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(hidden, path=paths.MODELS_V1)

        assert asker.no_list().code is ErrorCode.UPSTREAM_AUTH


@pytest.mark.parametrize("greeting_needs_token", [False, True])
@pytest.mark.parametrize("unauthorized_is_unexpected", [False, True])
def test_the_right_token_works(
    greeting_needs_token: bool,  # noqa: FBT001 - a column
    unauthorized_is_unexpected: bool,  # noqa: FBT001 - a column
) -> None:
    """F15, R13: for the list and for answers."""
    with LMStudio("v1") as studio, lmstudio(studio.url, api_key=TOKEN) as asker:
        studio.quirks.greeting_needs_token = greeting_needs_token
        studio.quirks.unauthorized_is_unexpected = unauthorized_is_unexpected
        studio.require_token(TOKEN)

        assert asker.poll().api == "lmstudio-v1"
        assert asker.ask(QWEN).text == "Hello world"
        assert {each.headers["authorization"] for each in studio.requests()} == {f"Bearer {TOKEN}"}


def test_a_greeting_that_wants_a_token_is_one_of_lm_studio() -> None:
    """F15: whether the greeting needs none is not confirmed."""
    with LMStudio("v1") as studio, lmstudio(studio.url, api_key=WRONG) as asker:
        studio.quirks.greeting_needs_token = True
        studio.require_token(TOKEN)

        assert asker.no_list().code is ErrorCode.UPSTREAM_AUTH
        assert asker.no_list().code is ErrorCode.UPSTREAM_AUTH
        assert asked(studio) == [GREET, V1, V1]


def test_a_refusal_that_hides_as_an_unknown_path_is_guessed() -> None:
    """F15: one protected server answered 200 and "Unexpected endpoint" instead of 401."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.quirks.unauthorized_is_unexpected = True
        studio.require_token(TOKEN)
        error = asker.no_list()

        assert error.code is ErrorCode.UPSTREAM_ERROR
        assert "is LM Studio" in str(error)
        assert error.hint is not None
        assert "llm_api_key" in error.hint
        studio.require_token(None)
        assert asker.poll().api == "lmstudio-v1"


def test_authentication_is_switched_on_and_off_under_way() -> None:
    """F15: neither makes it another generation."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        asker.poll()
        before = len(studio.requests())
        studio.require_token(TOKEN)
        assert asker.no_list().code is ErrorCode.UPSTREAM_AUTH
        assert asker.no_answer(QWEN).code is ErrorCode.UPSTREAM_AUTH
        assert asker.no_load(QWEN).code is ErrorCode.UPSTREAM_AUTH
        studio.require_token(None)
        assert asker.loaded()[QWEN] is True

        gets = [each for each in asked(studio, since=before) if each.startswith("GET")]
        assert gets == [V1, V1]


ECHOES: dict[str, Callable[[str], Fault]] = {
    "in a text": lambda token: faults.plain_error(f"bad header Authorization: Bearer {token}", 500),
    "in an object": lambda token: faults.object_error(f"token {token} has expired"),
    "in a stream": lambda token: faults.stream_error(f"token {token} has expired"),
    "in a named event": lambda token: faults.stream_error(token, named=True, after=["a"]),
    "in a redirect": lambda token: faults.instead(redirect(f"http://127.0.0.1:9/?key={token}")),
    "in no JSON": lambda token: faults.instead(status(500, f"no {token}".encode(), "text/plain")),
    "refused": lambda _: faults.unauthorized(),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=ECHOES)
@pytest.mark.parametrize(
    ("api_key", "echoed"),
    [(TOKEN, TOKEN), (PLAIN, PLAIN), ("", TOKEN)],
    ids=["ours", "of any form", "of somebody else"],
)
def test_no_error_repeats_a_token(
    echo: Callable[[str], Fault], api_key: str, echoed: str, caplog: pytest.LogCaptureFixture
) -> None:
    """F15, R13, R14: whoever echoes it, and wherever."""
    caplog.set_level("DEBUG", "devsynthd")
    fault = echo(echoed)
    with LMStudio("v1") as studio, lmstudio(studio.url, api_key=api_key) as asker:
        studio.next_fault(fault, path=paths.MODELS_V1)
        of_list = asker.no_list()
        studio.next_fault(fault, path=paths.CHAT)
        of_chat = asker.no_answer(QWEN)
        asker.poll()
        studio.next_fault(fault, path=paths.LOAD)
        of_load = asker.no_load(QWEN)

    for error in (of_list, of_chat, of_load):
        assert _says_nothing_of(echoed, error)
    assert echoed not in caplog.text


def test_the_token_stays_home() -> None:
    """R13: a redirect to another server is not followed, neither for lists nor for chats."""
    with (
        UpstreamServer() as elsewhere,
        LMStudio("v1") as studio,
        lmstudio(studio.url, api_key=TOKEN) as asker,
    ):
        away = faults.instead(redirect(f"{elsewhere.url}/models"))
        studio.next_fault(away, times=3)
        assert asker.no_list().code is ErrorCode.UPSTREAM_ERROR
        assert asker.no_answer(QWEN).code is ErrorCode.UPSTREAM_ERROR

        assert elsewhere.lists == elsewhere.generations == []
