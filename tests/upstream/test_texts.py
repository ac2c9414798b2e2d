"""Texts that are gone on with as they are, at LM Studio and at any other server."""

import msgspec
import pytest

from devsynthd.upstream.base import Delta, Ending
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Usage
from tests.lmstudio import Answer, LMStudio, faults, paths
from tests.lmstudio.asking import QWEN
from tests.lmstudio.paths import GENERATIONS, Generation
from tests.support.upstream_replies import events, status, text_piece
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import lmstudio, openai
from tests.upstream.asking import TEXT

QWEN_TEXT = msgspec.structs.replace(TEXT, model=QWEN)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_lm_studio_goes_on_with_a_text(generation: Generation) -> None:
    """The prompt goes out as it is, without a message around it."""
    with LMStudio(generation) as studio, lmstudio(studio.url) as asker:
        studio.load(QWEN)
        studio.says(" x", " + 1")
        asked = asker.ask_chat(QWEN_TEXT)
        (request,) = studio.requests(path=paths.COMPLETIONS)

    assert asked.deltas == [Delta(" x"), Delta(" + 1")]
    usage = None if generation == "openai" else Usage(3, 2, 5)
    assert asked.ending == Ending(model=QWEN, finish_reason="stop", usage=usage)
    assert request.body == {
        "model": QWEN,
        "prompt": TEXT.prompt,
        "max_tokens": 7,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_text_may_end_at_its_limit() -> None:
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_answer(Answer(texts=("a", "b", "c")))
        asked = asker.ask_chat(msgspec.structs.replace(QWEN_TEXT, max_tokens=2))

    assert (asked.text, asked.ending.finish_reason) == ("ab", "length")


def test_an_error_in_the_stream_of_a_text_is_one() -> None:
    """F8, F9."""
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_fault(faults.overflow_in_stream(), path=paths.COMPLETIONS)

        assert asker.refused(QWEN_TEXT).code is ErrorCode.CONTEXT_OVERFLOW


def test_any_server_goes_on_with_a_text() -> None:
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(
            events(text_piece(" x"), text_piece("!", index=1), text_piece("", finish_reason="stop"))
        )
        asked = asker.ask_chat(TEXT)

        assert asked.deltas == [Delta(" x")]
        assert server.wait_generation().path == "/v1/completions"
        assert server.lists == []


def test_a_server_that_does_not_stream_goes_on_with_a_text() -> None:
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(status(200, text_piece(" x", finish_reason="length")))
        asked = asker.ask_chat(TEXT)

    assert (asked.text, asked.ending.finish_reason) == (" x", "length")


def test_parameters_reach_the_server_as_they_are() -> None:
    """F26: ``json_object`` would be refused; a schema is handed on, and nothing made of it."""
    schema = {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": {"type": "object"}},
    }
    parameters = {"response_format": schema, "top_k": 40, "stop": ["\n"], "ttl": 60}
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        for chat in (QWEN_TEXT, msgspec.structs.replace(QWEN_TEXT, prompt=None)):
            asker.ask_chat(msgspec.structs.replace(chat, parameters=parameters))

        bodies = [request.body for request in studio.requests(method="POST")]
        assert [{key: body[key] for key in parameters} for body in bodies] == 2 * [parameters]


def test_what_lm_studio_refuses_is_told_in_its_words() -> None:
    """F26: nothing that we send ourselves, but it may be asked for."""
    form = {"response_format": {"type": "json_object"}}
    chat = msgspec.structs.replace(QWEN_TEXT, prompt=None, parameters=form)
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        error = asker.refused(chat)

    assert error.code is ErrorCode.UPSTREAM_ERROR
    assert "'json_schema'" in str(error)
