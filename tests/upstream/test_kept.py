"""Chats on a connection that is open already, which the event loop asks on by itself."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
import pytest

from devsynthd.upstream.base import Chat
from devsynthd.upstream.connections import AddressInfo, Connection
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.kept import MAX_HEAD_BYTES, MAX_REQUEST_BYTES
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.wire.errors import DevsynthError, ErrorCode
from devsynthd.wire.requests import Message
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import Reply, completion, raw, silence, tokens
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import (
    CHAT,
    PATIENT,
    SOON_S,
    ask,
    cancelled,
    relay,
    unnoticed,
    upstream_at,
)
from tests.upstream.test_chat import FAULTS

T = TypeVar("T")


def _after_one(
    server: UpstreamServer,
    question: Callable[[OpenAIUpstream], Awaitable[T]],
    *script: Reply,
    timeouts: Timeouts = PATIENT,
) -> T:
    """Return what *question* returns, asked when one answer has come, so that there is one."""
    server.script.extend([tokens("first"), *script])

    async def run() -> T:
        async with upstream_at(server.url, timeouts=timeouts) as upstream:
            assert (await ask(upstream)).text == "first"
            return await question(upstream)

    return asyncio.run(run())


async def _text(upstream: OpenAIUpstream) -> str:
    return (await ask(upstream)).text


async def _error(upstream: OpenAIUpstream) -> DevsynthError:
    with pytest.raises(DevsynthError) as caught:
        await ask(upstream)
    return caught.value


def _connections(server: UpstreamServer) -> list[int]:
    return [exchange.connection for exchange in server.generations]


def test_a_connection_is_quiet_until_anything_comes() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection = Connection("localhost")
        assert not connection.is_quiet  # not even open
        connection.sock = ours
        assert connection.is_quiet
        theirs.send(b"!")
        assert not connection.is_quiet
        ours.recv(1)
        assert connection.is_quiet
        theirs.close()
        assert not connection.is_quiet


def test_a_name_that_is_looked_up_for_ever_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing ends the thread that looks: it is left to itself."""
    looked, go_on = threading.Event(), threading.Event()

    def never(*_: object, **__: object) -> list[AddressInfo]:
        looked.set()
        go_on.wait(10)
        return []

    async def run() -> None:
        timeouts = msgspec.structs.replace(PATIENT, connect_s=0.1, first_token_s=0.1)
        async with upstream_at("http://nowhere.invalid/v1", timeouts=timeouts) as upstream:
            started = time.monotonic()
            try:
                assert (await _error(upstream)).code == "upstream_timeout"
                assert time.monotonic() - started < 5
            finally:
                go_on.set()

    monkeypatch.setattr(socket, "getaddrinfo", never)
    asyncio.run(run())
    assert looked.is_set()


def test_no_thread_is_needed(server: UpstreamServer) -> None:
    gate = Gate()
    server.script.extend([tokens("first", gate=gate), silence(), tokens("second")])

    async def run() -> str:
        async with upstream_at(server.url, max_threads=1) as upstream:
            first = asyncio.create_task(_text(upstream))
            await asyncio.to_thread(server.wait_generation)
            await upstream.models()  # on a connection of its own
            gate.step(2)
            await first
            vectors = asyncio.create_task(upstream.embed("m", ("a",), unnoticed))
            await asyncio.to_thread(server.wait_generation, 2)
            text = await _text(upstream)
            await cancelled(vectors)
            return text

    assert asyncio.run(run()) == "second"


def test_it_is_asked_as_the_first_time(server: UpstreamServer) -> None:
    async def three(upstream: OpenAIUpstream) -> list[str]:
        return [await _text(upstream) for _ in range(3)]

    assert _after_one(server, three) == ["Hello world"] * 3
    first, *others = server.generations
    assert _connections(server) == [1, 1, 1, 1]
    for other in others:
        assert (other.method, other.path, other.headers) == (
            first.method,
            first.path,
            first.headers,
        )
        assert other.raw_body == first.raw_body


@pytest.mark.parametrize(
    ("reply", "code", "cause"),
    [fault for fault in FAULTS if fault[1] is not ErrorCode.UPSTREAM_UNAVAILABLE],
)
def test_every_fault_has_its_code(
    server: UpstreamServer, reply: Reply, code: ErrorCode, cause: str | None
) -> None:
    error = _after_one(server, _error, reply)

    assert (error.code, error.details.get("cause")) == (code, cause)
    assert server.url in str(error)
    assert _connections(server) == [1, 1], "nothing is sent twice"


def test_a_server_that_does_not_stream_is_understood(server: UpstreamServer) -> None:
    assert _after_one(server, _text, completion("all at once")) == "all at once"


def test_the_head_may_come_in_pieces(server: UpstreamServer) -> None:
    head = b"HTTP/1.1 200 OK\nContent-Type: text/event-stream\r\n\nconnection: data"
    body = b'data: {"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}\n\n'

    async def piecemeal(exchange: Exchange) -> None:
        for byte in head.removesuffix(b"connection: data"):
            await exchange.send(bytes([byte]))
        await exchange.send(body)
        exchange.cut()

    assert _after_one(server, _text, piecemeal) == "x"


@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * (MAX_HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * MAX_HEAD_BYTES,
        b"HTTP/1.1 two hundred\r\n\r\n",
    ],
)
def test_a_head_that_is_none_is_refused(server: UpstreamServer, head: bytes) -> None:
    error = _after_one(server, _error, raw(head, b""))

    assert error.code is ErrorCode.UPSTREAM_ERROR
    assert "not HTTP" in str(error)


def test_silence_is_a_timeout(server: UpstreamServer) -> None:
    timeouts = msgspec.structs.replace(PATIENT, first_token_s=0.3)
    error = _after_one(server, _error, silence(), timeouts=timeouts)

    assert error.code is ErrorCode.UPSTREAM_TIMEOUT
    assert "the first token did not come" in str(error)
    server.wait_disconnected(2)


def test_cancelling_closes_the_connection_at_once(server: UpstreamServer) -> None:
    async def cancel(upstream: OpenAIUpstream) -> tuple[float, float, str]:
        task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
        await asyncio.to_thread(server.wait_generation, 2)
        started = time.monotonic()
        return started, await cancelled(task), await _text(upstream)

    started, ended_after_s, text = _after_one(server, cancel, silence(), tokens("next"))

    assert ended_after_s < SOON_S
    assert server.wait_disconnected(2) - started < SOON_S
    assert text == "next"
    assert _connections(server) == [1, 1, 2]


def test_closing_hangs_up(server: UpstreamServer) -> None:
    async def close(upstream: OpenAIUpstream) -> float:
        task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
        await asyncio.to_thread(server.wait_generation, 2)
        started = time.monotonic()
        await upstream.close()
        with pytest.raises(DevsynthError):
            await task
        return time.monotonic() - started

    assert _after_one(server, close, silence()) < SOON_S
    assert len(server.generations) == 2
    server.wait_disconnected(2)


def test_a_request_that_does_not_leave_at_once_has_a_thread(server: UpstreamServer) -> None:
    prompt = "x" * MAX_REQUEST_BYTES * 1000

    async def long(upstream: OpenAIUpstream) -> str:
        chat: Chat = msgspec.structs.replace(CHAT, messages=(Message("user", prompt),))
        return (await ask(upstream, chat)).text

    assert _after_one(server, long, tokens("read")) == "read"
    assert server.generations[1].body["messages"][0]["content"] == prompt


def test_many_at_once_have_a_connection_each(server: UpstreamServer) -> None:
    async def many(upstream: OpenAIUpstream) -> list[str]:
        for _ in range(2):
            texts = await asyncio.gather(*[_text(upstream) for _ in range(4)])
        return texts

    assert _after_one(server, many, *[tokens(str(n)) for n in range(8)])
    assert len(set(_connections(server)[-4:])) == 4
