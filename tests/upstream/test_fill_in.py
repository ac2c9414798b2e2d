"""Gaps that are filled in, by servers that can and not by those that would ignore the suffix."""

import asyncio

import msgspec
import pytest

from devsynthd.upstream.base import Delta, Ending
from devsynthd.wire.errors import DevsynthError, ErrorCode, NotSupported
from devsynthd.wire.objects import Usage
from tests.lmstudio import LMStudio, paths
from tests.lmstudio.asking import QWEN
from tests.lmstudio.paths import GENERATIONS, Generation
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import (
    Reply,
    events,
    infill_end,
    infill_piece,
    silence,
    status,
    text_piece,
    usage,
)
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import lmstudio, openai
from tests.upstream.asking import GAP, SOON_S, TEXT, Noted, cancelled, relay, upstream_at

FILLED = events(infill_piece("    return"), infill_piece(" x"), infill_end())
CANNOT = "Infill is not supported by this model: prefix token is missing. "


def _entry(name: str, owner: str) -> dict[str, str]:
    return {"id": name, "object": "model", "owned_by": owner}


def _server(*entries: dict[str, str], answer: Reply, version: bool = False) -> UpstreamServer:
    """Return a server that lists *entries*, and says so if it is Ollama."""
    found = {
        "/v1/models": status(200, {"object": "list", "data": list(entries)}),
        "/api/version": status(200, {"version": "0.12.6"}) if version else status(404, {}),
        "/api/ps": status(200, {"models": []}),
    }

    def reply(exchange: Exchange) -> Reply:
        missing = status(404, {"error": {"code": 404, "message": "File Not Found"}})
        return answer if exchange.method == "POST" else found.get(exchange.path, missing)

    return UpstreamServer(answer=reply)


def _llama_server(answer: Reply = FILLED) -> UpstreamServer:
    return _server(_entry("m", "llamacpp"), answer=answer)


def _ollama(answer: Reply) -> UpstreamServer:
    return _server(_entry("m:latest", "library"), answer=answer, version=True)


def _asked(server: UpstreamServer) -> list[str]:
    return [f"{each.method} {each.path}" for each in (*server.lists, *server.generations)]


def test_llama_server_fills_in_at_its_root() -> None:
    """What it is is looked up once, before anything is sent."""
    with _llama_server() as server, openai(server.url) as asker:
        asked = asker.ask_chat(GAP)
        again = asker.ask_chat(GAP)

        assert asked.deltas == again.deltas == [Delta("    return"), Delta(" x")]
        assert asked.ending == Ending(model="m", finish_reason="stop", usage=Usage(3, 2, 5))
        assert _asked(server) == ["GET /v1/models", "POST /infill", "POST /infill"]
        assert server.generations[0].body == {
            "model": "m",
            "input_prefix": "def f(x):\n",
            "input_suffix": "\n\nf(1)",
            "n_predict": 7,
            "temperature": 0.5,
            "stream": True,
        }


def test_llama_server_fills_in_at_lm_studios_address_too() -> None:
    with _llama_server() as server, lmstudio(server.url.removesuffix("/v1")) as asker:
        assert asker.ask_chat(GAP).text == "    return x"
        assert server.generations[0].path == "/infill"


def test_what_is_listed_already_is_not_asked_for() -> None:
    with _llama_server() as server, openai(server.url) as asker:
        asker.poll()
        asker.ask_chat(GAP)

        assert _asked(server) == ["GET /v1/models", "POST /infill"]


def test_the_connection_serves_on_after_a_gap() -> None:
    """No ``[DONE]`` comes; the last event is known all the same."""
    with _llama_server() as server, openai(server.url) as asker:
        for _ in range(3):
            asker.ask_chat(GAP)

        assert len({exchange.connection for exchange in server.generations}) == 1


def test_a_gap_of_which_the_connection_breaks_is_incomplete() -> None:
    with _llama_server(events(infill_piece("x"), end=False)) as server, openai(server.url) as asker:
        assert asker.refused(GAP).code is ErrorCode.INCOMPLETE


@pytest.mark.parametrize(
    "answer",
    [
        status(501, {"error": {"code": 501, "message": CANNOT, "type": "not_supported_error"}}),
        events({"error": {"code": 501, "message": CANNOT, "type": "not_supported_error"}}),
    ],
    ids=["status", "stream"],
)
def test_a_model_that_llama_server_cannot_fill_in_with(answer: Reply) -> None:
    with _llama_server(answer) as server, openai(server.url) as asker:
        error = asker.refused(GAP)

        assert isinstance(error, NotSupported)
        assert error.details["message"] == CANNOT.strip()
        assert server.url in str(error)
        assert error.hint is not None
        assert "`raw`" in error.hint


def test_ollama_fills_in_by_a_field() -> None:
    answer = events(text_piece("    return x", finish_reason="stop"), usage(), "[DONE]")
    with _ollama(answer) as server, openai(server.url) as asker:
        asked = asker.ask_chat(GAP)

        assert asked.text == "    return x"
        assert [each.path for each in server.generations] == ["/v1/completions"]
        assert server.generations[0].body == {
            "model": "m",
            "prompt": "def f(x):\n",
            "suffix": "\n\nf(1)",
            "max_tokens": 7,
            "temperature": 0.5,
            "stream": True,
            "stream_options": {"include_usage": True},
        }


def test_a_model_that_ollama_cannot_fill_in_with() -> None:
    text = "registry.ollama.ai/library/llama3.2:latest does not support insert"
    error = {"message": text, "type": "api_error", "param": None, "code": None}
    with _ollama(status(400, {"error": error})) as server, openai(server.url) as asker:
        refused = asker.refused(GAP)

    assert isinstance(refused, NotSupported)
    assert text in str(refused)


def test_a_server_that_refuses_a_suffix_is_not_able_to() -> None:
    """As vLLM words it: of a server that passes for one that can."""
    error = {"object": "error", "message": "suffix is not currently supported", "code": 400}
    with _ollama(status(400, error)) as server, openai(server.url) as asker:
        assert isinstance(asker.refused(GAP), NotSupported)


@pytest.mark.parametrize(
    "entries",
    [
        [_entry("org/base", "vllm")],
        [_entry("m:latest", "library")],  # looks like Ollama, and is not
        [_entry("a", "llamacpp"), _entry("b", "another")],  # a gateway
        [],
    ],
    ids=["vllm", "no ollama", "gateway", "empty"],
)
def test_no_other_server_is_sent_a_suffix(entries: list[dict[str, str]]) -> None:
    with _server(*entries, answer=silence()) as server, openai(server.url) as asker:
        error = asker.refused(GAP)

        assert isinstance(error, NotSupported)
        assert server.url in str(error)
        assert error.hint is not None
        assert "fill-in-the-middle tokens" in error.hint
        assert "again" not in error.hint
        assert server.generations == []


@pytest.mark.parametrize("honours", [False, True])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_lm_studio_is_not_sent_a_suffix(
    generation: Generation,
    honours: bool,  # noqa: FBT001 - a column
) -> None:
    """Whether a version honours it cannot be told from one that ignores it."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.quirks.honours_suffix = honours
        studio.load(QWEN)
        error = asker.refused(msgspec.structs.replace(GAP, model=QWEN))

        assert isinstance(error, NotSupported)
        assert studio.url in str(error)
        assert studio.requests(path=paths.COMPLETIONS) == []


def test_nothing_is_said_to_be_sent_where_nothing_is() -> None:
    noted = Noted()

    async def run(url: str) -> None:
        async with upstream_at(url) as upstream:
            with pytest.raises(NotSupported):
                await upstream.chat(GAP, relay(), noted)

    with _server(answer=silence()) as server:
        asyncio.run(run(server.url))
    assert noted.told == []


def test_a_server_that_cannot_be_asked_what_it_is_is_told_as_that() -> None:
    with UpstreamServer() as server, openai(server.url) as asker:
        server.models_reply = status(500, {"error": "boom"})
        error = asker.refused(GAP)

        assert error.code is ErrorCode.UPSTREAM_ERROR
        assert server.generations == []


def test_another_server_at_the_same_address_is_recognised_anew() -> None:
    with _llama_server() as server, openai(server.url) as asker:
        port = server.port
        asker.poll()
        server.stop()
        asker.no_list()
        other = UpstreamServer(port=port)
        with other:
            assert isinstance(asker.refused(GAP), NotSupported)
            assert other.generations == []


def test_the_suffix_is_what_matters() -> None:
    """A text without one needs no list, whatever the server is."""
    answer = events(text_piece("x", finish_reason="stop"))
    with _llama_server(answer) as server, openai(server.url) as asker:
        asker.ask_chat(TEXT)

        assert _asked(server) == ["POST /v1/completions"]


def test_filling_in_is_cancelled_like_a_chat() -> None:
    async def run(server: UpstreamServer) -> float:
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(GAP, relay(), Noted()))
            await asyncio.to_thread(server.wait_generation)
            return await cancelled(task)

    with _llama_server(silence()) as server:
        assert asyncio.run(run(server)) < SOON_S
        server.wait_disconnected()


def test_looking_what_it_is_is_cancelled_too() -> None:
    async def run(server: UpstreamServer) -> float:
        async with upstream_at(server.url) as upstream:
            task = asyncio.create_task(upstream.chat(GAP, relay(), Noted()))
            await asyncio.to_thread(server.wait_list)
            return await cancelled(task)

    with UpstreamServer() as server:
        server.models_reply = silence()
        assert asyncio.run(run(server)) < SOON_S
        assert server.generations == []


def test_an_infill_that_is_not_there_is_an_error() -> None:
    missing = {"error": {"code": 404, "message": "File Not Found", "type": "not_found_error"}}
    with _llama_server(status(404, missing)) as server, openai(server.url) as asker:
        error: DevsynthError = asker.refused(GAP)

    assert error.code is ErrorCode.UPSTREAM_ERROR
