"""Tools that the model wants called: fragments in the stream, whole calls in the result."""

from typing import Any

import pytest

from tests.service.asking import AnyDict, result, told, until_answered
from tests.support.daemon import Dealer
from tests.support.upstream_replies import Reply, events, piece, status, usage
from tests.support.upstream_server import UpstreamServer


def fragment(
    index: int, arguments: str, *, call_id: str | None = None, name: str | None = None
) -> dict[str, Any]:
    function = {"arguments": arguments} | ({} if name is None else {"name": name})
    return piece(tool_calls=[{"index": index, "function": function} | _id(call_id)])


def _id(call_id: str | None) -> dict[str, Any]:
    return {} if call_id is None else {"id": call_id, "type": "function"}


def answer(*pieces: dict[str, Any]) -> Reply:
    return events(*pieces, piece(finish_reason="tool_calls"), usage(), "[DONE]")


def put_together(chunks: list[AnyDict]) -> list[AnyDict]:
    """Return the calls that the fragments in *chunks* add up to, as a client does it."""
    calls: dict[int, AnyDict] = {}
    for part in (part for chunk in chunks for part in chunk.get("tool_calls", [])):
        function = part["function"]
        call = calls.setdefault(
            part["index"],
            {
                "id": part.get("id"),
                "type": part.get("type"),
                "function": {"name": "", "arguments": ""},
            },
        )
        call["function"]["name"] = call["function"]["name"] or function.get("name", "")
        call["function"]["arguments"] += function.get("arguments", "")
    return [calls[index] for index in sorted(calls)]


TWO = answer(
    fragment(0, "", call_id="c1", name="weather"),
    fragment(0, '{"city":'),
    fragment(0, ' "Bonn"}'),
    fragment(1, "", call_id="c2", name="now"),
    fragment(1, "{}"),
)


@pytest.mark.parametrize("stream", [False, True])
def test_calls_are_whole_in_the_result(
    dealer: Dealer, upstream: UpstreamServer, *, stream: bool
) -> None:
    upstream.script.append(TWO)
    dealer.send(op="generate", id=1, prompt="x", stream=stream)

    *chunks, last = until_answered(dealer, 1)

    completion = result(last)
    assert completion["tool_calls"] == [
        {
            "id": "c1",
            "type": "function",
            "function": {"name": "weather", "arguments": '{"city": "Bonn"}'},
        },
        {"id": "c2", "type": "function", "function": {"name": "now", "arguments": "{}"}},
    ]
    assert (completion["text"], completion["finish_reason"]) == ("", "tool_calls")
    assert told(chunks) == ""
    assert put_together(chunks) == (completion["tool_calls"] if stream else [])


@pytest.mark.parametrize("call_id", ["", None])
def test_ids_that_are_missing_are_made_up(
    dealer: Dealer, upstream: UpstreamServer, call_id: str | None
) -> None:
    ids = set()
    for number in range(2):
        upstream.script.append(
            answer(
                piece("Let me see."),
                fragment(0, "{}", call_id=call_id, name="a"),
                fragment(1, "{}", call_id=call_id, name="b"),
            )
        )
        dealer.send(op="generate", id=number, prompt="x", stream=True)
        *chunks, last = until_answered(dealer, number)
        calls = result(last)["tool_calls"]
        assert put_together(chunks) == calls
        assert told(chunks) == result(last)["text"] == "Let me see."
        ids |= {call["id"] for call in calls}
    assert len(ids) == 4
    assert all(ids)


def test_an_answer_that_does_not_stream_has_chunks_too(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    body = {
        "model": "a",
        "choices": [{"index": 0, "message": {"tool_calls": [call]}, "finish_reason": "tool_calls"}],
    }
    upstream.script.append(status(200, body))
    dealer.send(op="generate", id=1, prompt="x", stream=True)

    *chunks, last = until_answered(dealer, 1)

    assert put_together(chunks) == result(last)["tool_calls"] == [call]


def test_a_call_that_breaks_off_is_incomplete(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(events(fragment(0, '{"ci', call_id="c1", name="weather"), end=False))
    dealer.send(op="generate", id=1, prompt="x", stream=True)

    *_, last = until_answered(dealer, 1)

    assert last["error"]["code"] == "incomplete"
