"""What is sent to LM Studio, and what each status means.

``responses`` plays the HTTP below, but not for chats, which have connections of their own.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, TypeVar

import msgspec
import pytest
import responses
from requests.structures import CaseInsensitiveDict

from devsynthd import __version__
from devsynthd.upstream.base import Chat, Delta, Ending
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import (
    ConfigInvalid,
    DevsynthError,
    ModelLoadFailed,
    ModelNotFound,
    UpstreamAuth,
    UpstreamError,
    UpstreamUnavailable,
)
from devsynthd.wire.requests import Message
from tests.support.upstream_replies import redirect
from tests.support.upstream_replies import status as answer
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import unnoticed

ROOT = "http://127.0.0.1:1234"
TOKEN = "sk-lm-abcdefgh:12345678901234567890"  # noqa: S105 - opens nothing
GREETING = {"lmstudio": True}
LOADED = {"models": [{"key": "a", "loaded_instances": [{"id": "a"}]}]}
UNEXPECTED = {"error": "Unexpected endpoint or method. (GET /x)"}
CHAT = Chat(model="a", messages=(Message("user", "hi"),), max_tokens=None, temperature=0.5)

T = TypeVar("T")


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def _asked(
    question: Callable[[LMStudioUpstream], Coroutine[Any, Any, T]],
    root: str = ROOT,
    *,
    api_key: str = "",
) -> T:
    async def run() -> T:
        upstream = LMStudioUpstream(
            root,
            api_key=api_key,
            timeouts=Timeouts(connect_s=1, first_token_s=1, idle_s=1),
            ca_bundle="",
            max_threads=1,
        )
        try:
            return await question(upstream)
        finally:
            await upstream.close()

    return asyncio.run(run())


async def _list(upstream: LMStudioUpstream) -> list[str]:
    return [model.id for model in (await upstream.models()).models]


async def _chat(upstream: LMStudioUpstream) -> Ending:
    relay: Relay[Delta] = Relay(100, lambda: None)
    return await upstream.chat(CHAT, relay, unnoticed)


async def _manage(upstream: LMStudioUpstream) -> None:
    """List, since that tells that there is a manager, then do all that it can."""
    await upstream.models()
    manager = upstream.manager
    assert manager is not None
    await manager.load("a/b", 4096)
    await manager.unload("a/b:2")
    await manager.download("https://huggingface.co/a/b", "Q4_K_M")
    await manager.job("job/1?x")


def _sent(mocked: responses.RequestsMock) -> list[str]:
    return [f"{call.request.method} {call.request.url}" for call in mocked.calls]


def _root(server: UpstreamServer) -> str:
    return server.url.removesuffix("/v1")


def _plays_lm_studio(mocked: responses.RequestsMock, root: str = ROOT) -> None:
    mocked.get(f"{root}/lmstudio-greeting", json=GREETING)
    mocked.get(f"{root}/api/v1/models", json=LOADED)


@pytest.mark.parametrize(
    "root",
    [
        "http://127.0.0.1:1234",
        "http://localhost:1234",
        "http://[::1]:1234",
        "https://host.example/lm",
    ],
)
def test_paths_are_put_after_the_root(mocked: responses.RequestsMock, root: str) -> None:
    """F2, R2: with no slash too many, of a host by any name."""
    _plays_lm_studio(mocked, root)
    assert _asked(_list, root) == ["a"]

    assert _sent(mocked) == [f"GET {root}/lmstudio-greeting", f"GET {root}/api/v1/models"]


def test_a_slash_at_the_end_is_not_doubled(mocked: responses.RequestsMock) -> None:
    """F2, R2."""
    _plays_lm_studio(mocked)
    _asked(_list, f"{ROOT}/")

    assert _sent(mocked) == [f"GET {ROOT}/lmstudio-greeting", f"GET {ROOT}/api/v1/models"]


def test_management_has_documented_fields_at_documented_places(
    mocked: responses.RequestsMock,
) -> None:
    """F27: unknown fields are refused. A job's id is part of a path, whatever is in it."""
    _plays_lm_studio(mocked)
    mocked.post(f"{ROOT}/api/v1/models/load", json={"instance_id": "a/b"})
    mocked.post(f"{ROOT}/api/v1/models/unload", json={"instance_id": "a/b:2"})
    job = {"job_id": "job/1?x", "status": "downloading"}
    mocked.post(f"{ROOT}/api/v1/models/download", json=job)
    mocked.get(f"{ROOT}/api/v1/models/download/status/job%2F1%3Fx", json=job)
    _asked(_manage)

    bodies = [json.loads(call.request.body) for call in mocked.calls if call.request.body]
    assert bodies == [
        {"model": "a/b", "echo_load_config": True, "context_length": 4096},
        {"instance_id": "a/b:2"},
        {"model": "https://huggingface.co/a/b", "quantization": "Q4_K_M"},
    ]


def test_every_request_carries_the_token_and_asks_for_no_compression(
    mocked: responses.RequestsMock,
) -> None:
    """R13: the greeting too, in case that it needs one."""
    _plays_lm_studio(mocked)
    _asked(_list, api_key=TOKEN)
    with UpstreamServer() as server:
        _asked(_chat, _root(server), api_key=TOKEN)
        (chat,) = server.generations

    sent = [(call.request.headers, call.request.url) for call in mocked.calls]
    for headers, url in [*sent, (CaseInsensitiveDict(chat.headers), chat.path)]:
        assert headers["Authorization"] == f"Bearer {TOKEN}"
        assert headers["User-Agent"] == f"devsynthd/{__version__}"
        assert headers["Accept-Encoding"] == "identity"
        assert url is not None
        assert TOKEN not in url


def test_without_a_token_none_is_sent(mocked: responses.RequestsMock) -> None:
    """F15: no placeholder, which is refused once authentication is on."""
    _plays_lm_studio(mocked)
    _asked(_list)

    assert not any("Authorization" in call.request.headers for call in mocked.calls)


@pytest.mark.parametrize(
    "target",
    [
        "http://127.0.0.1:1235/api/v1/models",
        "http://localhost:1234/api/v1/models",
        "https://127.0.0.1:1234/api/v1/models",
        "//elsewhere.example/api/v1/models",
    ],
)
def test_no_redirect_takes_the_token_away(mocked: responses.RequestsMock, target: str) -> None:
    """R13: another port, name or scheme is another server. It is not asked, and that is told."""
    mocked.get(f"{ROOT}/lmstudio-greeting", json=GREETING)
    mocked.get(f"{ROOT}/api/v1/models", status=307, headers={"Location": target})
    with pytest.raises(UpstreamError, match="a redirect") as caught:
        _asked(_list, api_key=TOKEN)

    assert len(mocked.calls) == 2
    assert TOKEN not in str(caught.value)


def test_a_redirect_at_home_is_followed(mocked: responses.RequestsMock) -> None:
    """R13: with the token."""
    mocked.get(f"{ROOT}/lmstudio-greeting", json=GREETING)
    mocked.get(f"{ROOT}/api/v1/models", status=308, headers={"Location": "/api/v1/models/"})
    mocked.get(f"{ROOT}/api/v1/models/", json=LOADED)
    assert _asked(_list, api_key=TOKEN) == ["a"]

    assert mocked.calls[2].request.headers["Authorization"] == f"Bearer {TOKEN}"


def test_a_post_is_never_redirected() -> None:
    """R13: not even at home."""
    with UpstreamServer() as server:
        server.script.append(redirect("/v1/chat"))
        with pytest.raises(UpstreamError, match="a redirect"):
            _asked(_chat, _root(server))
        assert len(server.generations) == 1


@pytest.mark.parametrize("token", ["line\nbreak", "h\u00e9"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(token: str) -> None:
    """R13."""
    with pytest.raises(ConfigInvalid) as caught:
        _asked(_list, api_key=token)
    assert token not in str(caught.value)


STATUSES: list[tuple[int, str, type[DevsynthError]]] = [
    (401, '{"error":"no"}', UpstreamAuth),
    (403, "<html>", UpstreamAuth),
    (404, '{"error":{"code":"model_not_found"}}', ModelNotFound),
    (400, '{"error":"Failed to load model \\"a\\""}', ModelLoadFailed),
    (429, '{"error":"slow down"}', UpstreamError),
    (500, '{"error":"boom"}', UpstreamError),
    (502, "<html>bad gateway</html>", UpstreamError),
    (503, '{"error":{"message":"Loading model"}}', UpstreamUnavailable),
    (200, "<html>", UpstreamError),
    (200, msgspec.json.encode(UNEXPECTED).decode(), UpstreamError),
]


@pytest.mark.parametrize(("status", "body", "kind"), STATUSES)
def test_the_body_and_the_status_say_what_it_is(
    mocked: responses.RequestsMock, status: int, body: str, kind: type[DevsynthError]
) -> None:
    """F1, F15, R1: the same for an answer as for a load."""
    _plays_lm_studio(mocked)
    mocked.post(f"{ROOT}/api/v1/models/load", body=body, status=status)
    with UpstreamServer() as server:
        root = _root(server)
        server.script.append(answer(status, body.encode(), "text/plain"))
        with pytest.raises(DevsynthError) as of_chat:
            _asked(_chat, root)
    with pytest.raises(DevsynthError) as of_load:
        _asked(_manage)

    assert type(of_chat.value) is kind
    assert type(of_load.value) is (ModelLoadFailed if kind is UpstreamError else kind)
    assert root in str(of_chat.value)
