"""Vectors of texts, from LM Studio and from any other server."""

import asyncio
import json
import threading

import msgspec
import pytest

from devsynthd.upstream.embeddings import VECTORS_LIMIT
from devsynthd.upstream.failures import ModelGone
from devsynthd.wire.errors import (
    DevsynthError,
    ErrorCode,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from devsynthd.wire.objects import Usage
from tests.lmstudio import LMStudio, errors, faults, paths
from tests.lmstudio.asking import NOMIC
from tests.lmstudio.paths import GENERATIONS, Generation
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import (
    html,
    raw,
    reset_after,
    silence,
    status,
    unauthorized,
    vectors,
)
from tests.support.upstream_server import UpstreamServer, free_port
from tests.upstream.asker import lmstudio, openai
from tests.upstream.asking import (
    PATIENT,
    SOON_S,
    Noted,
    ask,
    cancelled,
    numbers,
    unnoticed,
    upstream_at,
)

SHORT = msgspec.structs.replace(PATIENT, first_token_s=0.2)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_lm_studio_makes_vectors(generation: Generation) -> None:
    """F31: at the same place, of all texts in one request; what it counts is nothing."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(NOMIC)
        found = asker.embed("hello", "hi", model=NOMIC)
        (request,) = studio.requests(path=paths.EMBEDDINGS)

    assert found.model is not None
    assert found.model.startswith(NOMIC)
    assert numbers(found) == [(0.05, -0.005, 0.0005), (0.02, -0.002, 0.0002)]
    assert found.usage == Usage(0, 0, 0)
    assert request.body == {"model": NOMIC, "input": ["hello", "hi"]}


def test_vectors_are_in_the_order_of_the_texts() -> None:
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(vectors([0, 1], [1, 1], [2, 1], order=(2, 0, 1)))
        found = asker.embed("a", "b", "c")

        assert numbers(found) == [(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]
        assert (found.model, found.usage) == ("m@f16", Usage(4, 0, 4))
        assert server.wait_generation().path == "/v1/embeddings"


def test_it_is_told_when_texts_are_sent() -> None:
    noted = Noted()

    async def run(url: str) -> None:
        async with upstream_at(url) as upstream:
            await upstream.embed("m", ("a",), noted)

    with UpstreamServer() as server:
        server.script.append(vectors([1]))
        asyncio.run(run(server.url))
    assert noted.told == ["sent"]


def test_a_server_that_mixes_vectors_up_is_not_believed() -> None:
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(vectors([1], [2]))
        error = asker.no_vectors("a", "b", "c")

        assert error.code is ErrorCode.UPSTREAM_ERROR
        assert f"{server.url} answered with vectors that cannot be used: 2 for 3 texts" in str(
            error
        )


def test_vectors_in_base64_are_not_taken() -> None:
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(vectors("AACAPwAAAEA="))

        assert "got `str`" in str(asker.no_vectors("a"))


@pytest.mark.parametrize("text", [errors.RELOADED, errors.UNLOADED_BEFORE, errors.CRASHED])
def test_a_model_that_went_away_makes_no_vectors(text: str) -> None:
    """F11, F13."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.plain_error(text), path=paths.EMBEDDINGS)
        error = asker.no_vectors("a", model=NOMIC)

        assert isinstance(error, ModelGone)
        assert asker.embed("a", model=NOMIC).vectors


def test_a_load_on_demand_that_fails_is_told_as_that() -> None:
    """F5: and nothing is sent twice."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_load_fails()
        error = asker.no_vectors("a", model=NOMIC)

        assert error.code is ErrorCode.MODEL_LOAD_FAILED
        assert len(studio.requests(path=paths.EMBEDDINGS)) == 1


def test_nothing_loaded_is_told_as_that() -> None:
    """F3: an embedding model that is not loaded on demand."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.settings.jit = False

        assert asker.no_vectors("a", model=NOMIC).code is ErrorCode.NO_MODEL


def test_each_failure_is_what_it_is_for_a_chat() -> None:
    cases = [
        (reset_after(), ErrorCode.UPSTREAM_UNAVAILABLE),  # first: no connection is kept yet
        (unauthorized(), ErrorCode.UPSTREAM_AUTH),
        (html(), ErrorCode.UPSTREAM_ERROR),
        (status(404, {"error": {"code": "model_not_found"}}), ErrorCode.MODEL_NOT_FOUND),
        (status(501, {"error": {"type": "not_supported_error"}}), ErrorCode.NOT_SUPPORTED),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"), ErrorCode.UPSTREAM_ERROR),
    ]
    with UpstreamServer() as server, openai(server.url) as asker:
        for reply, code in cases:
            server.script.append(reply)
            assert asker.no_vectors("a").code is code
        assert len(server.generations) == len(cases)


def test_a_server_that_is_not_there_makes_no_vectors() -> None:
    with openai(f"http://127.0.0.1:{free_port()}/v1") as asker:
        assert isinstance(asker.no_vectors("a"), UpstreamUnavailable)


def _no_vectors(url: str) -> DevsynthError:
    async def run() -> None:
        async with upstream_at(url, timeouts=SHORT) as upstream:
            await upstream.embed("m", ("a",), unnoticed)

    with pytest.raises(DevsynthError) as caught:
        asyncio.run(run())
    return caught.value


def test_silence_is_given_up_after_the_time_for_a_first_token() -> None:
    with UpstreamServer() as server:
        server.script.append(silence())
        error = _no_vectors(server.url)
        server.wait_disconnected()

    assert isinstance(error, UpstreamTimeout)
    assert error.hint is not None
    assert "llm_first_token_timeout" in error.hint


def test_the_whole_body_has_that_time_and_no_more() -> None:
    async def trickle(exchange: Exchange) -> None:
        await exchange.head(200, "application/json")
        while True:
            await exchange.chunk(b" ")
            await asyncio.sleep(0.01)

    with UpstreamServer() as server:
        server.script.append(trickle)
        error = _no_vectors(server.url)
        server.wait_disconnected()

    assert isinstance(error, UpstreamTimeout)


def test_more_than_anybody_needs_is_not_read() -> None:
    async def flood(exchange: Exchange) -> None:
        await exchange.head(200, "application/json")
        while True:
            await exchange.chunk(b" " * 2**20)

    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(flood)
        error = asker.no_vectors("a")

        assert isinstance(error, UpstreamError)
        assert str(error) == f"{server.url} sent more than 64 MiB of vectors"
        assert error.hint == "Send fewer texts at once."
        assert server.wait_generation().bytes_sent < 2 * VECTORS_LIMIT.max_bytes  # some in buffers


def test_many_large_vectors_are_read() -> None:
    """More than a list of models may have."""
    row = [0.123456789012] * 4096
    data = [{"embedding": row, "index": index} for index in range(400)]
    body = json.dumps({"data": data}).encode()
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(status(200, body))

        assert len(body) > 16 * 2**20
        assert numbers(asker.embed(*400 * ["a"])) == 400 * [tuple(row)]


def test_a_request_for_vectors_is_hung_up_on_when_it_is_cancelled() -> None:
    async def run(server: UpstreamServer) -> float:
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.embed("m", ("a",), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            return await cancelled(task)

    with UpstreamServer() as server:
        server.script.append(silence())
        assert asyncio.run(run(server)) < SOON_S
        server.wait_disconnected()


def test_no_more_vectors_are_asked_for_at_once_than_there_are_threads() -> None:
    """The second are not asked for before the first have come, or are given up."""

    async def run(server: UpstreamServer) -> None:
        async with upstream_at(server.url, max_threads=1) as upstream:
            first, second = (
                asyncio.create_task(upstream.embed("m", ("a",), unnoticed)) for _ in range(2)
            )
            await asyncio.to_thread(server.wait_generation)
            await asyncio.wait({second}, timeout=0.1)
            assert len(server.generations) == 1
            assert await cancelled(first) < SOON_S
            await asyncio.to_thread(server.wait_generation, 2)
            assert await cancelled(second) < SOON_S

    with UpstreamServer() as server:
        server.script.extend([silence(), silence()])
        asyncio.run(run(server))


def test_closing_hangs_up_on_vectors_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())

    async def run(server: UpstreamServer) -> BaseException | object:
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.embed("m", ("a",), unnoticed))
            await asyncio.to_thread(server.wait_generation)
            await upstream.close()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            with pytest.raises(UpstreamUnavailable):
                await upstream.embed("m", ("a",), unnoticed)
            with pytest.raises(UpstreamUnavailable):
                await ask(upstream)
            return result

    with UpstreamServer() as server:
        server.script.append(silence())
        assert isinstance(asyncio.run(run(server)), DevsynthError)
    assert set(threading.enumerate()) <= before
