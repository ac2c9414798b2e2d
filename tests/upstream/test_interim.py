"""Heads of answers: interim ones before them, and servers that never come to the end of one."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import pytest

from devsynthd.upstream.base import Chat
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.wire.errors import DevsynthError, UpstreamError, UpstreamTimeout
from devsynthd.wire.requests import Message
from tests.support.upstream_attacks import endless
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, status, tokens, vectors
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import CHAT, PATIENT, ask, unnoticed, upstream_at

T = TypeVar("T")

LONG = Chat(  # too long to be sent by the event loop
    model="m", messages=(Message("user", "x" * 20_000),), max_tokens=7, temperature=0.5
)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nLink: </y>\r\n\r\n"
SHORT = msgspec.structs.replace(PATIENT, connect_s=0.2, first_token_s=0.2, idle_s=0.2)


def _run(
    url: str, question: Callable[[OpenAIUpstream], Awaitable[T]], *, hurried: bool = False
) -> T:
    async def run() -> T:
        async with upstream_at(url, timeouts=SHORT if hurried else PATIENT) as upstream:
            return await question(upstream)

    return asyncio.run(run())


async def _chat(upstream: OpenAIUpstream) -> str:
    return (await ask(upstream, CHAT)).text


async def _long_chat(upstream: OpenAIUpstream) -> str:
    return (await ask(upstream, LONG)).text


async def _embed(upstream: OpenAIUpstream) -> str:
    return str(len((await upstream.embed("m", ("a",), unnoticed)).vectors))


async def _models(upstream: OpenAIUpstream) -> str:
    return (await upstream.models()).models[0].id


QUESTIONS = [
    pytest.param(_chat, tokens("Hi"), "Hi", id="chat"),
    pytest.param(_long_chat, tokens("Hi"), "Hi", id="long chat"),
    pytest.param(_embed, vectors([1, 2]), "1", id="embed"),
    pytest.param(_models, status(200, {"object": "list", "data": [{"id": "a"}]}), "a", id="list"),
]


@pytest.mark.parametrize(("question", "reply", "expected"), QUESTIONS)
@pytest.mark.parametrize(
    "heads", [[CONTINUE], [CONTINUE * 3 + HINTS], [CONTINUE, HINTS[:20], HINTS[20:]]]
)
def test_an_interim_answer_is_none(
    server: UpstreamServer,
    question: Callable[[OpenAIUpstream], Awaitable[str]],
    reply: Reply,
    expected: str,
    heads: list[bytes],
) -> None:
    async def with_interim(exchange: Exchange) -> None:
        for head in heads:
            await exchange.send(head)
            await asyncio.sleep(0.02)  # so that it is read by itself
        await reply(exchange)

    server.script.append(with_interim)
    server.models_reply = with_interim

    assert _run(server.url, question) == expected


@pytest.mark.parametrize(("question", "_reply", "_expected"), QUESTIONS)
def test_interim_answers_have_an_end(
    server: UpstreamServer,
    question: Callable[[OpenAIUpstream], Awaitable[str]],
    _reply: Reply,
    _expected: str,
) -> None:
    server.script.append(endless(b"", CONTINUE))
    server.models_reply = endless(b"", CONTINUE)

    error = _failed(server.url, question)

    assert isinstance(error, UpstreamError)
    assert "not HTTP" in str(error)


def _failed(
    url: str, question: Callable[[OpenAIUpstream], Awaitable[str]], *, hurried: bool = False
) -> DevsynthError:
    with pytest.raises(DevsynthError) as caught:
        _run(url, question, hurried=hurried)
    return caught.value


@pytest.mark.parametrize("question", [_chat, _long_chat, _embed])
@pytest.mark.parametrize(
    ("begin", "drop"),
    [
        pytest.param(b"HTTP/1.1 200 ", b"O", id="status"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: ", b"x", id="header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n1;",
            b"x",
            id="chunk",
        ),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" ", id="body"),
    ],
)
def test_an_answer_that_drips_is_given_up(
    server: UpstreamServer,
    question: Callable[[OpenAIUpstream], Awaitable[str]],
    begin: bytes,
    drop: bytes,
) -> None:
    async def drip(exchange: Exchange) -> None:
        await exchange.send(begin)
        while True:
            await exchange.send(drop)
            await asyncio.sleep(0.05)

    server.script.append(drip)

    error = _failed(server.url, question, hurried=True)

    assert isinstance(error, UpstreamTimeout)
    assert "within 0.2 s" in str(error)
    server.wait_disconnected()


@pytest.mark.parametrize(("question", "_reply", "_expected"), QUESTIONS)
def test_lengths_that_contradict_each_other_are_no_http(
    server: UpstreamServer,
    question: Callable[[OpenAIUpstream], Awaitable[str]],
    _reply: Reply,
    _expected: str,
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 7\r\n\r\n"
    server.script.append(endless(head, b"x"))
    server.models_reply = endless(head, b"x")

    error = _failed(server.url, question)

    assert isinstance(error, UpstreamError)
    assert "not HTTP" in str(error)
