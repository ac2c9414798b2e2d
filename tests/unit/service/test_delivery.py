"""What is handed on of an answer, and that nothing of it is kept afterwards."""

import asyncio
import gc
import weakref

import msgspec
import pytest

from devsynthd.service.call import Call, Envelope
from devsynthd.service.delivery import Delivery
from devsynthd.upstream.base import Delta
from devsynthd.wire.codec import Encoding
from devsynthd.wire.requests import Generate
from tests.unit.service.test_call import Asker


def call_of(asker: Asker) -> Call:
    request = Generate(id=1, prompt="x", stream=True)
    return Call(Envelope(asker, Encoding.MSGPACK, delimiter=False), request, 1, 1)


def test_what_waits_for_a_slow_client_is_handed_on_at_the_end() -> None:
    async def run() -> None:
        asker = Asker()
        asker.writable = False
        call = call_of(asker)
        delivery = Delivery(call, stream=True)
        delivery.relay.put([Delta("a"), Delta("b", "why")])
        await asyncio.sleep(0)
        assert asker.sent == []

        delivery.finish()
        delivery.add(Delta("c"))

        chunks = [msgspec.msgpack.decode(body) for (body,) in asker.sent]
        assert [(chunk["seq"], chunk["text"]) for chunk in chunks] == [(0, "ab"), (1, "c")]
        assert (str(call.text), str(delivery.reasoning)) == ("abc", "why")

    asyncio.run(run())


def test_a_client_that_reads_on_afterwards_is_sent_nothing_twice() -> None:
    async def run() -> None:
        asker = Asker()
        call = call_of(asker)
        delivery = Delivery(call, stream=True)
        delivery.relay.put([Delta("a")])
        delivery.finish()

        call.on_writable()

        assert len(asker.sent) == 1

    asyncio.run(run())


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_keeps_an_answer_that_is_over(*, stream: bool) -> None:
    async def run() -> None:
        call = call_of(Asker())
        delivery = Delivery(call, stream=stream)
        delivery.relay.put([Delta("a")])
        await asyncio.sleep(0)
        delivery.finish()
        kept = weakref.ref(delivery)
        del delivery
        assert kept() is None

    gc.collect()
    gc.disable()
    try:
        asyncio.run(run())
    finally:
        gc.enable()
