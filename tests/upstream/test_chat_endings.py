"""How an answer ends once all of its text is there."""

import asyncio

import msgspec

from devsynthd.upstream.base import Delta
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.waits import AFTER_FINISH_S
from tests.support.upstream_exchange import Exchange, Gate
from tests.support.upstream_replies import piece
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import StillClock
from tests.upstream.asking import CHAT, PATIENT, Asked, ask, unnoticed, upstream_at

IMPATIENT = msgspec.structs.replace(PATIENT, idle_s=0.15)


def _asked(server: UpstreamServer, timeouts: Timeouts = PATIENT) -> Asked:
    async def run() -> Asked:
        async with upstream_at(server.url, timeouts=timeouts) as upstream:
            return await ask(upstream)

    return asyncio.run(run())


def test_an_answer_that_only_lacks_its_end_mark_is_complete(server: UpstreamServer) -> None:
    async def no_end(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(piece("x", finish_reason="stop"))
        await asyncio.Event().wait()

    server.script.append(no_end)

    assert _asked(server, IMPATIENT).text == "x"


def test_signs_of_life_after_its_end_do_not_keep_an_answer_back(server: UpstreamServer) -> None:
    async def heartbeats(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(piece("x", finish_reason="stop"))
        while True:
            await exchange.chunk(b": keepalive\n\n")
            await asyncio.sleep(0.01)  # the pace of this server, nothing waits for it

    server.script.append(heartbeats)
    answer = _asked(server, IMPATIENT)

    assert (answer.text, answer.ending.finish_reason) == ("x", "stop")
    server.wait_disconnected()


def test_an_answer_may_give_its_reason_to_finish_with_every_token(server: UpstreamServer) -> None:
    """Each token shows that it has not ended, and gives the end its time anew."""
    clock, gate = StillClock(), Gate()

    async def normal(exchange: Exchange) -> None:
        await exchange.head()
        for text in "abcd":
            await gate.pass_one()
            await exchange.event(piece(text, finish_reason="normal"))
        await exchange.end()

    async def run() -> str:
        woken = asyncio.Event()
        deltas = Relay[Delta](100, woken.set)
        texts = []
        async with upstream_at(server.url, clock=clock) as upstream:
            answer = asyncio.create_task(upstream.chat(CHAT, deltas, unnoticed))
            for _ in range(4):
                await asyncio.to_thread(gate.step)
                await woken.wait()
                woken.clear()
                texts += [delta.text for delta in deltas.take()]
                clock.now_s += AFTER_FINISH_S / 2
            await answer
        return "".join(texts)

    server.script.append(normal)

    assert asyncio.run(run()) == "abcd"


def test_an_answer_whose_body_never_ends_costs_its_connection_only(server: UpstreamServer) -> None:
    async def no_end(exchange: Exchange) -> None:
        await exchange.head()
        await exchange.event(piece("x"))
        await exchange.event("[DONE]")
        await asyncio.Event().wait()

    server.script.append(no_end)

    assert _asked(server).text == "x"
    server.wait_disconnected()
