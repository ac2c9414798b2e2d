"""A server that closes a kept connection in the moment in which it is used again."""

import asyncio
import contextlib

import pytest

from devsynthd.upstream.failures import ModelGone
from devsynthd.upstream.http import RESET_AT_ONCE_S
from devsynthd.wire.errors import DevsynthError, ErrorCode, UpstreamError
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import (
    Reply,
    error_event,
    reset_after,
    status,
    tokens,
    vectors,
)
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import openai
from tests.upstream.asking import ask, upstream_at


def _answers(server: UpstreamServer, *script: Reply) -> list[str]:
    """Return the texts that as many questions as there are entries of *script* get, in turn."""

    async def run() -> list[str]:
        async with upstream_at(server.url) as upstream:
            return [(await ask(upstream)).text for _ in range(2)]

    server.script.extend(script)
    return asyncio.run(run())


def test_a_chat_on_a_kept_connection_is_sent_once_more_on_a_fresh_one(
    server: UpstreamServer,
) -> None:
    assert _answers(server, tokens("a"), reset_after(), tokens("b")) == ["a", "b"]

    first, lost, again = server.generations
    assert first.connection == lost.connection != again.connection
    assert lost.raw_body == again.raw_body


def test_a_reset_after_a_while_is_no_closed_connection(server: UpstreamServer) -> None:
    async def works_and_dies(exchange: Exchange) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.5 * RESET_AT_ONCE_S):
                await asyncio.Event().wait()
        exchange.reset()

    with pytest.raises(DevsynthError) as caught:
        _answers(server, tokens("a"), works_and_dies)

    assert caught.value.code is ErrorCode.UPSTREAM_UNAVAILABLE
    assert len(server.generations) == 2


@pytest.mark.parametrize(
    ("script", "sent"),
    [
        ([reset_after()], 1),  # a fresh connection: the server may have read it
        ([tokens("a"), reset_after(), reset_after()], 3),
        ([tokens("a"), reset_after("some text")], 2),  # it has begun to answer
    ],
)
def test_else_a_chat_is_never_sent_twice(
    server: UpstreamServer, script: list[Reply], sent: int
) -> None:
    with pytest.raises(DevsynthError) as caught:
        _answers(server, *script)

    assert caught.value.code in (ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.INCOMPLETE)
    assert len(server.generations) == sent


GONE = {"error": "Model reloaded."}


@pytest.mark.parametrize("reply", [status(400, GONE), error_event(error=GONE["error"])])
def test_a_chat_that_was_sent_twice_is_not_to_be_asked_again_when_its_model_went_away(
    server: UpstreamServer, reply: Reply
) -> None:
    server.script.extend([reply, tokens("a"), reset_after(), reply])
    with openai(server.url) as asker:
        once = asker.no_answer()
        asker.ask()
        twice = asker.no_answer()

    assert type(once) is ModelGone
    assert type(twice) is UpstreamError
    assert (str(twice), twice.hint, twice.details) == (str(once), once.hint, once.details)
    assert len(server.generations) == 4


def test_so_are_texts_for_vectors(server: UpstreamServer) -> None:
    server.script.extend([status(400, GONE), vectors([1]), reset_after(), status(400, GONE)])
    with openai(server.url) as asker:
        once = asker.no_vectors("a")
        asker.embed("a")
        twice = asker.no_vectors("a")

    assert type(once) is ModelGone
    assert type(twice) is UpstreamError
    assert (str(twice), twice.hint, twice.details) == (str(once), once.hint, once.details)
    assert len(server.generations) == 4
