"""What is sent, and what each status means.

``responses`` plays the HTTP below, but not for chats, which have connections of their own.
"""

import asyncio
import json
from collections.abc import Iterator

import msgspec
import pytest
import responses

from devsynthd import __version__
from devsynthd.upstream.base import Chat, Delta, Ending, Listing
from devsynthd.upstream.bodies import chat_body
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import (
    ConfigInvalid,
    DevsynthError,
    ModelNotFound,
    UpstreamAuth,
    UpstreamError,
    UpstreamUnavailable,
)
from devsynthd.wire.requests import FunctionCall, Message, ToolCall
from tests.support.upstream_replies import status as answer
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import unnoticed

BASE = "http://127.0.0.1:1234/v1"
CHAT = Chat(model="m", messages=(Message("user", "hi"),), max_tokens=7, temperature=0.5)


@pytest.fixture
def mocked() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def _upstream(base: str = BASE, api_key: str = "") -> OpenAIUpstream:
    timeouts = Timeouts(connect_s=1, first_token_s=1, idle_s=1)
    return OpenAIUpstream(base, api_key=api_key, timeouts=timeouts, ca_bundle="", max_threads=1)


def _chat(upstream: OpenAIUpstream) -> tuple[Ending, list[Delta]]:
    async def run() -> tuple[Ending, list[Delta]]:
        relay: Relay[Delta] = Relay(100, lambda: None)
        try:
            return await upstream.chat(CHAT, relay, unnoticed), relay.take()
        finally:
            await upstream.close()

    return asyncio.run(run())


def _models(upstream: OpenAIUpstream) -> Listing:
    async def run() -> Listing:
        try:
            return await upstream.models()
        finally:
            await upstream.close()

    return asyncio.run(run())


def test_a_chat_streams_with_its_usage() -> None:
    assert json.loads(chat_body(CHAT)) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 7,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_no_limit_is_not_sent_and_messages_keep_their_form() -> None:
    call = ToolCall(id="1", function=FunctionCall("f", "{}"))
    messages = (Message("assistant", tool_calls=[call]), Message("tool", "4", tool_call_id="1"))
    body = json.loads(chat_body(msgspec.structs.replace(CHAT, max_tokens=None, messages=messages)))

    assert "max_tokens" not in body
    assert body["messages"] == [
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "content": "4", "tool_call_id": "1"},
    ]


def test_the_headers_of_a_chat() -> None:
    with UpstreamServer() as server:
        server.script.append(tokens("hey"))
        ending, deltas = _chat(_upstream(server.url, api_key="sk-secret"))
        (exchange,) = server.generations
        port = server.port

    assert exchange.headers == {
        "host": f"127.0.0.1:{port}",
        "authorization": "Bearer sk-secret",
        "user-agent": f"devsynthd/{__version__}",
        "accept": "application/json, text/event-stream",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": str(len(chat_body(CHAT))),
    }
    assert exchange.raw_body == chat_body(CHAT)
    assert (ending.finish_reason, deltas) == ("stop", [Delta("hey")])


def test_without_a_key_there_is_no_authorization(mocked: responses.RequestsMock) -> None:
    mocked.get(f"{BASE}/models", json={"object": "list", "data": []})
    _models(_upstream())

    assert "Authorization" not in mocked.calls[0].request.headers


def test_the_address_has_no_password() -> None:
    upstream = _upstream("https://user:hunter2@host.example:8443/v1/?token=hunter2#x")

    assert upstream.address == "https://host.example:8443/v1"
    asyncio.run(upstream.close())


@pytest.mark.parametrize("api_key", ["line\nbreak", "nul\x00", "h\u00e9"])
def test_a_key_that_no_header_can_carry_is_refused_unseen(api_key: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        _upstream(api_key=api_key)
    assert api_key not in str(caught.value)


@pytest.mark.parametrize("base", ["http://", "http://*host", "http://h:99999999/v1"])
def test_an_unusable_base_is_refused(base: str) -> None:
    with pytest.raises(ConfigInvalid, match="llm_api_base"):
        _upstream(base)


STATUSES: list[tuple[int, str, str, type[DevsynthError]]] = [
    (401, "application/json", '{"error":"no"}', UpstreamAuth),
    (403, "text/html", "<html>", UpstreamAuth),
    (404, "application/json", '{"error":{"code":"model_not_found"}}', ModelNotFound),
    (404, "text/html", "<html>", UpstreamError),
    (429, "application/json", '{"error":"slow down"}', UpstreamError),
    (500, "application/json", '{"error":"boom"}', UpstreamError),
    (502, "text/html", "<html>bad gateway</html>", UpstreamError),
    (503, "application/json", '{"error":{"message":"Loading model"}}', UpstreamUnavailable),
    (200, "text/html", "<html>", UpstreamError),
    (200, "application/json", '{"error":"Unexpected endpoint or method. (X)"}', UpstreamError),
]


@pytest.mark.parametrize(("status", "content_type", "body", "kind"), STATUSES)
def test_each_status_means_the_same_for_lists_and_chats(
    status: int, content_type: str, body: str, kind: type[DevsynthError]
) -> None:
    with UpstreamServer() as server:
        url = server.url
        server.models_reply = answer(status, body.encode(), content_type)
        server.script.append(server.models_reply)
        with pytest.raises(DevsynthError) as of_list:
            _models(_upstream(url))
        with pytest.raises(DevsynthError) as of_chat:
            _chat(_upstream(url))

    assert type(of_list.value) is type(of_chat.value) is kind
    assert url in str(of_chat.value)
