import asyncio
import gzip
import json
import socket
import threading
import time

import msgspec
import pytest

from devsynthd.upstream.base import Delta
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import DevsynthError, ErrorCode, UpstreamUnavailable
from devsynthd.wire.objects import Usage
from devsynthd.wire.requests import Message
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import (
    Reply,
    completion,
    cut_after,
    error_event,
    events,
    flood,
    html,
    huge_line,
    piece,
    raw,
    reset_after,
    silence,
    silence_after,
    status,
    tokens,
    unauthorized,
)
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import (
    CHAT,
    PATIENT,
    SOON_S,
    Asked,
    Unnoticed,
    ask,
    cancelled,
    relay,
    unnoticed,
    upstream_at,
)


def _asked(server: UpstreamServer, timeouts: Timeouts = PATIENT) -> Asked:
    async def run() -> Asked:
        async with upstream_at(server.url, timeouts=timeouts) as upstream:
            return await ask(upstream)

    return asyncio.run(run())


def _failed(server: UpstreamServer, timeouts: Timeouts = PATIENT) -> DevsynthError:
    with pytest.raises(DevsynthError) as caught:
        _asked(server, timeouts)
    return caught.value


def test_an_answer_comes_whole(server: UpstreamServer) -> None:
    server.script.append(tokens("Hello", ", ", "world"))
    asked = _asked(server)

    assert asked.text == "Hello, world"
    assert asked.ending.model == "m"
    assert asked.ending.usage == Usage(3, 3, 6)
    exchange = server.wait_generation()
    assert (exchange.path, exchange.body["stream"]) == ("/v1/chat/completions", True)


def test_sending_is_told_before_anything_is_sent(server: UpstreamServer) -> None:
    told: list[tuple[int, threading.Thread]] = []

    class Noticed(Unnoticed):
        def sent(self) -> None:
            told.append((len(server.generations), threading.current_thread()))

    async def run() -> None:
        async with upstream_at(server.url) as upstream:
            await upstream.chat(CHAT, relay(), Noticed())

    asyncio.run(run())
    assert told == [(0, threading.main_thread())]


def test_deltas_come_as_they_are_sent(server: UpstreamServer) -> None:
    gate = Gate()
    server.script.append(tokens("a", "b", gate=gate))

    async def run() -> list[Delta]:
        ready = asyncio.Event()
        deltas: Relay[Delta] = Relay(10, ready.set)
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, deltas, unnoticed))
            await asyncio.to_thread(gate.step)
            await ready.wait()
            first = deltas.take()
            gate.step(2)
            await task
            return [*first, Delta("|"), *deltas.take()]

    assert asyncio.run(run()) == [Delta("a"), Delta("|"), Delta("b")]


def test_a_server_that_does_not_stream_is_understood(server: UpstreamServer) -> None:
    server.script.append(completion("all at once"))

    assert _asked(server).deltas == [Delta("all at once")]


def test_a_server_that_compresses_unasked_is_understood(server: UpstreamServer) -> None:
    async def compressed(exchange: Exchange) -> None:
        stream = "".join(
            f"data: {json.dumps(event)}\n\n" for event in (piece("x"), piece(finish_reason="stop"))
        )
        await exchange.whole(
            200, "text/event-stream", gzip.compress(stream.encode()), [("Content-Encoding", "gzip")]
        )

    server.script.append(compressed)

    assert _asked(server).text == "x"


def test_a_server_that_compresses_as_nobody_can_read_is_told_so(server: UpstreamServer) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Encoding: odd\r\n\r\n"
    server.script.append(raw(head, b"what"))

    assert "'odd'" in str(_failed(server))


def test_an_unknown_content_type_is_read_as_a_stream(server: UpstreamServer) -> None:
    data = json.dumps(piece("x", finish_reason="stop")).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n"
    event = b"data: %b\n\n" % data
    server.script.append(raw(head % len(event), event))

    assert _asked(server).text == "x"


def test_a_body_that_ends_with_its_connection_is_understood(server: UpstreamServer) -> None:
    data = json.dumps(piece("x", finish_reason="stop")).encode()
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    server.script.append(raw(head, b"data: %b\n\n" % data))

    assert _asked(server).text == "x"


SILENCES = [silence(), silence_after(), silence_after("a")]


@pytest.mark.parametrize("reply", SILENCES, ids=["no head", "no token", "mid-stream"])
def test_cancelling_closes_the_connection_at_once(server: UpstreamServer, reply: Reply) -> None:
    server.script.append(reply)

    async def run() -> tuple[float, float]:
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            started = time.monotonic()
            return started, await cancelled(task)

    started, ended_after_s = asyncio.run(run())

    assert ended_after_s < SOON_S
    assert server.wait_disconnected() - started < SOON_S


def test_cancelling_frees_the_thread(server: UpstreamServer) -> None:
    server.script.extend([silence(), tokens("next")])

    async def run() -> str:
        async with upstream_at(server.url, max_threads=1) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            await cancelled(task)
            return (await ask(upstream)).text

    assert asyncio.run(run()) == "next"


def test_a_chat_that_waits_for_a_thread_is_cancelled_unsent(server: UpstreamServer) -> None:
    server.script.append(silence())

    async def run() -> float:
        async with upstream_at(server.url, max_threads=1) as upstream:
            first = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            second = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.sleep(0)
            ended_after_s = await cancelled(second)
            await cancelled(first)
            return ended_after_s

    assert asyncio.run(run()) < SOON_S
    assert len(server.generations) == 1


def test_a_reader_that_takes_nothing_stops_the_upstream(server: UpstreamServer) -> None:
    texts = ["x" * 100_000] * 400  # 40 MB: more than the sockets between can hold
    server.script.append(tokens(*texts))

    async def run() -> int:
        ready = asyncio.Event()
        deltas: Relay[Delta] = Relay(4, ready.set)
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, deltas, unnoticed))
            exchange = await asyncio.to_thread(server.wait_generation)
            assert not await asyncio.to_thread(exchange.ended.wait, 0.5)
            assert exchange.bytes_sent < 30_000_000
            count = 0
            while not task.done():
                taken = deltas.take()
                count += len(taken)
                assert len(taken) < 10
                ready.clear()
                waiting = asyncio.create_task(ready.wait())
                await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
            await task
            return count + len(deltas.take())

    assert asyncio.run(run()) == 400


def test_cancelling_a_chat_whose_reader_takes_nothing(server: UpstreamServer) -> None:
    server.script.append(flood())

    async def run() -> float:
        ready = asyncio.Event()
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, Relay(1, ready.set), unnoticed))
            await ready.wait()
            return await cancelled(task)

    assert asyncio.run(run()) < SOON_S
    server.wait_disconnected()


async def _endless_error_list(exchange: Exchange) -> None:
    await exchange.head(500, "application/json")
    while True:
        await exchange.chunk(b"x" * 65_536)


FAULTS: list[tuple[Reply, ErrorCode, str | None]] = [
    (html(), ErrorCode.UPSTREAM_ERROR, None),
    (html(502), ErrorCode.UPSTREAM_ERROR, None),
    (status(500, {"error": "boom"}), ErrorCode.UPSTREAM_ERROR, None),
    (status(500, b""), ErrorCode.UPSTREAM_ERROR, None),
    (status(200, {"error": "Unexpected endpoint or method."}), ErrorCode.UPSTREAM_ERROR, None),
    (_endless_error_list, ErrorCode.UPSTREAM_ERROR, None),
    (unauthorized(), ErrorCode.UPSTREAM_AUTH, None),
    (reset_after(), ErrorCode.UPSTREAM_UNAVAILABLE, None),
    (reset_after("a"), ErrorCode.INCOMPLETE, "upstream_unavailable"),
    (cut_after(), ErrorCode.UPSTREAM_ERROR, None),
    (cut_after("a"), ErrorCode.INCOMPLETE, "upstream_error"),
    (events(piece("a")), ErrorCode.INCOMPLETE, "upstream_error"),
    (events(), ErrorCode.UPSTREAM_ERROR, None),
    (events("[DONE]"), ErrorCode.UPSTREAM_ERROR, None),
    (events(piece(finish_reason="stop"), "[DONE]"), ErrorCode.UPSTREAM_ERROR, None),
    (error_event(error="boom"), ErrorCode.UPSTREAM_ERROR, None),
    (error_event("a", error="boom"), ErrorCode.INCOMPLETE, "upstream_error"),
    (
        error_event("a", error={"message": "x"}, name="error"),
        ErrorCode.INCOMPLETE,
        "upstream_error",
    ),
    (
        error_event(error={"message": "Context size has been exceeded."}),
        ErrorCode.CONTEXT_OVERFLOW,
        None,
    ),
    (huge_line(2 * 2**20), ErrorCode.UPSTREAM_ERROR, None),
    (raw(b"SSH-2.0-OpenSSH_9.7\r\n"), ErrorCode.UPSTREAM_ERROR, None),
    (
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        ErrorCode.UPSTREAM_ERROR,
        None,
    ),
    (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"), ErrorCode.UPSTREAM_ERROR, None),
    (
        raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\nnot gzip"),
        ErrorCode.UPSTREAM_ERROR,
        None,
    ),
]


@pytest.mark.parametrize(("reply", "code", "cause"), FAULTS)
def test_every_fault_has_its_code(
    server: UpstreamServer, reply: Reply, code: ErrorCode, cause: str | None
) -> None:
    server.script.append(reply)
    error = _failed(server)

    assert error.code is code
    assert error.details.get("cause") == cause
    assert server.url in str(error)
    assert len(server.generations) == 1, "nothing is sent twice"


@pytest.mark.parametrize("reply", [reply for reply, *_ in FAULTS])
def test_after_a_fault_the_next_answer_comes(server: UpstreamServer, reply: Reply) -> None:
    server.script.append(reply)

    async def run() -> str:
        async with upstream_at(server.url) as upstream:
            with pytest.raises(DevsynthError):
                await ask(upstream)
            return (await ask(upstream)).text

    assert asyncio.run(run()) == "Hello world"


def test_what_came_before_a_fault_is_handed_on(server: UpstreamServer) -> None:
    server.script.append(error_event("a", "b", error="boom"))

    async def run() -> list[Delta]:
        deltas = relay()
        async with upstream_at(server.url) as upstream:
            with pytest.raises(DevsynthError):
                await upstream.chat(CHAT, deltas, unnoticed)
        return deltas.take()

    assert asyncio.run(run()) == [Delta("a"), Delta("b")]


IMPATIENT = Timeouts(connect_s=10, first_token_s=0.15, idle_s=0.15)


@pytest.mark.parametrize("reply", [silence(), silence_after()], ids=["no head", "no token"])
def test_silence_before_the_first_token(server: UpstreamServer, reply: Reply) -> None:
    server.script.append(reply)
    error = _failed(server, IMPATIENT)

    assert error.code is ErrorCode.UPSTREAM_TIMEOUT
    assert error.hint is not None
    assert "llm_first_token_timeout" in error.hint
    server.wait_disconnected()


def test_signs_of_life_are_no_first_token(server: UpstreamServer) -> None:
    async def heartbeats(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.chunk(b": still here\n\n")
            await exchange.event(piece("", role="assistant"))
            await asyncio.sleep(0.01)  # the pace of this server, nothing waits for it

    server.script.append(heartbeats)

    assert _failed(server, IMPATIENT).code is ErrorCode.UPSTREAM_TIMEOUT


def test_silence_after_the_first_token(server: UpstreamServer) -> None:
    server.script.append(silence_after("a"))
    error = _failed(server, msgspec.structs.replace(PATIENT, idle_s=0.15))

    assert (error.code, error.details) == (ErrorCode.INCOMPLETE, {"cause": "upstream_timeout"})
    assert error.hint is not None
    assert "llm_idle_timeout" in error.hint


def test_a_large_prompt_may_take_longer_than_connecting() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        async def run() -> bool:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
            large = msgspec.structs.replace(CHAT, messages=(Message("user", "x" * 20_000_000),))
            timeouts = msgspec.structs.replace(PATIENT, connect_s=0.05)
            async with upstream_at(url, timeouts=timeouts) as upstream:
                task = asyncio.create_task(upstream.chat(large, relay(), unnoticed))
                await asyncio.wait({task}, timeout=0.3)
                sending = not task.done()
                await cancelled(task)
                return sending

        assert asyncio.run(run()), "it was given up although the server only reads slowly"


def test_lists_and_chats_do_not_wait_for_each_other(server: UpstreamServer) -> None:
    server.script.append(silence())

    async def run() -> None:
        async with upstream_at(server.url, max_threads=1) as upstream:
            chat = asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            assert len((await upstream.models()).models) == 1
            await cancelled(chat)
            server.models_reply = silence()
            lists = [asyncio.create_task(upstream.models()) for _ in range(4)]
            assert (await ask(upstream)).text == "Hello world"
            for task in lists:
                task.cancel()
            await asyncio.wait(lists)

    asyncio.run(run())


def test_closing_hangs_up_and_leaves_no_thread(server: UpstreamServer) -> None:
    server.script.append(silence())
    server.models_reply = silence()
    before = set(threading.enumerate())

    async def run() -> list[BaseException | object]:
        async with upstream_at(server.url) as upstream:
            tasks = [
                asyncio.create_task(upstream.chat(CHAT, relay(), unnoticed)),
                asyncio.create_task(upstream.models()),
            ]
            await asyncio.to_thread(server.wait_generation)
            await upstream.close()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            with pytest.raises(UpstreamUnavailable):
                await ask(upstream)
            return list(results)

    assert all(isinstance(result, DevsynthError) for result in asyncio.run(run()))
    assert set(threading.enumerate()) <= before
    server.wait_disconnected()
