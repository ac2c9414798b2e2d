"""How the body of an answer is read: in passes, as far as its reader takes it."""

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

from devsynthd.upstream.base import Delta
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import Incomplete
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import flood, piece, tokens
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asking import CHAT, PATIENT, SOON_S, ask, unnoticed, upstream_at
from tests.upstream.certificates import self_signed

LARGE = [f"{number:05}" * 20_000 for number in range(40)]  # each more than a pass reads


async def _read_slowly(url: str, ca_bundle: str = "") -> str:
    """Return an answer that was taken only when it could not come any further."""
    ready, texts = asyncio.Event(), list[str]()
    deltas: Relay[Delta] = Relay(1, ready.set)
    async with upstream_at(url, ca_bundle=ca_bundle) as upstream:
        task = asyncio.create_task(upstream.chat(CHAT, deltas, unnoticed))
        while not task.done():
            waiting = asyncio.create_task(ready.wait())
            await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            ready.clear()
            texts += [delta.text for delta in deltas.take()]
        await task
    return "".join(texts + [delta.text for delta in deltas.take()])


def test_an_answer_comes_whole_to_a_slow_reader(server: UpstreamServer) -> None:
    server.script.append(tokens(*LARGE))

    assert asyncio.run(_read_slowly(server.url)) == "".join(LARGE)


def test_an_answer_comes_whole_to_a_slow_reader_by_tls(tmp_path: Path) -> None:
    context, bundle = self_signed(tmp_path)
    with UpstreamServer(tls=context) as server:
        server.script.append(tokens(*LARGE))

        assert asyncio.run(_read_slowly(server.url, str(bundle))) == "".join(LARGE)


def test_a_connection_by_tls_is_used_again(tmp_path: Path) -> None:
    context, bundle = self_signed(tmp_path)
    with UpstreamServer(tls=context) as server:

        async def run() -> list[str]:
            async with upstream_at(server.url, ca_bundle=str(bundle)) as upstream:
                return [(await ask(upstream)).text for _ in range(3)]

        assert asyncio.run(run()) == ["Hello world"] * 3
        assert {exchange.connection for exchange in server.generations} == {1}


def test_a_pause_of_the_reader_is_no_silence_of_the_server(server: UpstreamServer) -> None:
    gate = Gate()
    server.script.append(tokens("a", "b", gate=gate))

    async def run() -> list[Delta]:
        ready = asyncio.Event()
        deltas: Relay[Delta] = Relay(1, ready.set)
        timeouts = msgspec.structs.replace(PATIENT, idle_s=0.4)
        async with upstream_at(server.url, timeouts=timeouts) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, deltas, unnoticed))
            await asyncio.to_thread(gate.step)
            await ready.wait()
            assert not (await asyncio.wait({task}, timeout=0.6))[0]
            first = deltas.take()
            assert not (await asyncio.wait({task}, timeout=0.05))[0]
            ready.clear()
            gate.step()
            await ready.wait()
            second = deltas.take()
            gate.step()
            await task
            return [*first, *second, *deltas.take()]

    assert asyncio.run(run()) == [Delta("a"), Delta("b")]


def test_closing_hangs_up_on_an_answer_that_nobody_takes(server: UpstreamServer) -> None:
    server.script.append(flood())

    async def run() -> float:
        ready = asyncio.Event()
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(CHAT, Relay(1, ready.set), unnoticed))
            await ready.wait()
            loop = asyncio.get_running_loop()
            started = loop.time()
            await upstream.close()
            with pytest.raises(Incomplete, match="given up"):
                await task
            return loop.time() - started

    assert asyncio.run(run()) < SOON_S
    server.wait_disconnected()


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked", "Content-Length: %d"])
def test_a_connection_on_which_too_much_came_is_not_used_again(
    server: UpstreamServer, framing: str
) -> None:
    data = json.dumps(piece("x", finish_reason="stop")).encode()
    event = b"data: %b\n\ndata: [DONE]\n\n" % data
    body = event if "%" in framing else b"%x\r\n%b\r\n0\r\n\r\n" % (len(event), event)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{framing}\r\n\r\n"
    head = head % len(event) if "%" in framing else head

    async def talkative(exchange: Exchange) -> None:
        await exchange.send(head.encode() + body + b"HTTP/1.1 200 OK\r\n")

    server.script.append(talkative)

    async def run() -> list[str]:
        async with upstream_at(server.url) as upstream:
            return [(await ask(upstream)).text for _ in range(2)]

    assert asyncio.run(run()) == ["x", "Hello world"]
    assert [exchange.connection for exchange in server.generations] == [1, 2]
