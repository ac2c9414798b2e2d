"""Calls of tools: handed on as they come, and whole at the end."""

import asyncio
from collections import defaultdict

import msgspec
import pytest

from devsynthd.upstream.base import Delta
from devsynthd.upstream.relay import Relay
from devsynthd.wire.requests import FunctionCall, FunctionPart, ToolCall, ToolCallPart
from tests.lmstudio import Answer, LMStudio, paths
from tests.lmstudio import ToolCall as Said
from tests.lmstudio.asking import QWEN
from tests.lmstudio.completion import ReasoningAs
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import cut_after, events, piece, status
from tests.support.upstream_server import UpstreamServer
from tests.upstream.asker import lmstudio, openai
from tests.upstream.asking import CHAT, Asked, unnoticed, upstream_at

TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}},
}


def _fragments(asked: Asked) -> list[ToolCallPart]:
    return [part for delta in asked.deltas for part in delta.tool_calls]


def _added_up(asked: Asked) -> list[tuple[str, str, str]]:
    """Return id, name and arguments of each call, as a client adds its fragments up."""
    ids: dict[int, str] = {}
    names: defaultdict[int, str] = defaultdict(str)
    arguments: defaultdict[int, str] = defaultdict(str)
    for part in _fragments(asked):
        ids.setdefault(part.index, part.id or "")
        names[part.index] += part.function.name or ""
        arguments[part.index] += part.function.arguments
    return [(ids[index], names[index], arguments[index]) for index in ids]


def _whole(asked: Asked) -> list[tuple[str, str, str]]:
    calls = asked.ending.tool_calls
    return [(call.id, call.function.name, call.function.arguments) for call in calls]


def test_calls_are_handed_on_as_lm_studio_streams_them() -> None:
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_answer(Answer(texts=(), tool_calls=(Said(name="weather"),)))
        chat = msgspec.structs.replace(CHAT, model=QWEN, parameters={"tools": [TOOL]})
        asked = asker.ask_chat(chat)

        assert studio.requests(path=paths.CHAT)[0].body["tools"] == [TOOL]
    assert asked.deltas == [
        Delta(
            tool_calls=(
                ToolCallPart(
                    index=0, id="365174485", type="function", function=FunctionPart("weather")
                ),
            )
        ),
        Delta(tool_calls=(ToolCallPart(index=0, function=FunctionPart(arguments="{")),)),
        Delta(tool_calls=(ToolCallPart(index=0, function=FunctionPart(arguments="}")),)),
    ]
    assert asked.ending.finish_reason == "tool_calls"
    assert asked.ending.tool_calls == (
        ToolCall(id="365174485", function=FunctionCall("weather", "{}")),
    )


def test_calls_with_empty_ids_get_some_that_are_never_the_same() -> None:
    """F25: also over several answers of one conversation."""
    calls = (Said(name="weather", id=""), Said(name="time", id=""))
    ids: list[str] = []
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        for _ in range(2):
            studio.next_answer(Answer(texts=("Wait.",), tool_calls=calls))
            asked = asker.ask(QWEN)

            assert _added_up(asked) == _whole(asked)
            assert [call.function.name for call in asked.ending.tool_calls] == ["weather", "time"]
            ids += [call.id for call in asked.ending.tool_calls]

    assert all(ids)
    assert len(set(ids)) == 4


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_texts_and_calls_come_in_their_order(field: ReasoningAs) -> None:
    """F24, F25: whatever the field of the thoughts is called."""
    answer = Answer(
        reasoning=("Hm",), reasoning_as=field, texts=("So.",), tool_calls=(Said(name="f"),)
    )
    with LMStudio("v1") as studio, lmstudio(studio.url) as asker:
        studio.next_answer(answer)
        asked = asker.ask(QWEN)

    assert asked.deltas[:2] == [Delta("", "Hm"), Delta("So.")]
    assert _whole(asked) == _added_up(asked) == [("365174485", "f", "{}")]


def test_a_fragment_is_a_first_token_and_comes_at_once() -> None:
    gate = Gate()

    async def run(studio: LMStudio) -> list[Delta]:
        ready = asyncio.Event()
        async with upstream_at(f"{studio.url}/v1") as upstream:
            deltas: Relay[Delta] = Relay(100, ready.set)
            chat = msgspec.structs.replace(CHAT, model=QWEN)
            task = asyncio.create_task(upstream.chat(chat, deltas, unnoticed))
            await asyncio.to_thread(gate.step)
            await ready.wait()
            first = deltas.take()
            assert not task.done()
            await asyncio.to_thread(gate.step, 3)
            await task
            return first

    with LMStudio("v1") as studio:
        studio.next_answer(Answer(texts=(), tool_calls=(Said(name="f"),), gate=gate))
        (delta,) = asyncio.run(run(studio))
    assert delta.tool_calls[0].function == FunctionPart("f")


def test_the_calls_of_a_whole_answer_are_handed_on_too() -> None:
    calls = [
        {"id": "", "type": "function", "function": {"name": name, "arguments": "{}"}}
        for name in ("f", "g")
    ]
    message = {"role": "assistant", "content": None, "tool_calls": calls}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(status(200, {"model": "m", "choices": [choice]}))
        asked = asker.ask()

    assert [part.index for part in _fragments(asked)] == [0, 1]
    assert _added_up(asked) == _whole(asked)
    assert len({call.id for call in asked.ending.tool_calls}) == 2


def test_calls_that_the_server_numbers_oddly_are_numbered_anew() -> None:
    def part(index: int, **function: str) -> dict[str, object]:
        return piece(tool_calls=[{"index": index, "function": function}])

    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(
            events(
                part(4, name="f", arguments="{"),
                part(2, name="g", arguments="{}"),
                part(4, arguments="}"),
                piece(finish_reason="tool_calls"),
            )
        )
        asked = asker.ask()

    assert [part.index for part in _fragments(asked)] == [0, 1, 0]
    assert [call[1:] for call in _whole(asked)] == [("f", "{}"), ("g", "{}")]


def test_a_call_that_breaks_off_is_incomplete() -> None:
    begun = piece(tool_calls=[{"index": 0, "id": "1", "function": {"name": "f"}}])
    with UpstreamServer() as server, openai(server.url) as asker:
        server.script.append(events(begun, end=False))
        assert asker.no_answer().code == "incomplete"
        server.script.append(cut_after())
        assert asker.no_answer().code == "upstream_error"
