"""``schema``: the answer is looked at before it counts as one."""

import json

import pytest

from tests.service.asking import AnyDict, error, result, told, until_answered
from tests.support.daemon import Dealer
from tests.support.upstream_replies import events, piece, tokens, usage
from tests.support.upstream_server import UpstreamServer

SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city"],
}


def ask(dealer: Dealer, *, stream: bool = False) -> list[AnyDict]:
    dealer.send(op="generate", id=1, prompt="x", schema=SCHEMA, stream=stream)
    return until_answered(dealer, 1)


@pytest.mark.parametrize("stream", [False, True])
def test_answer_that_fits(dealer: Dealer, upstream: UpstreamServer, *, stream: bool) -> None:
    upstream.script.append(tokens('{"city":', ' "Bonn"}'))

    *chunks, last = ask(dealer, stream=stream)

    assert json.loads(result(last)["text"]) == {"city": "Bonn"}
    assert told(chunks) == (result(last)["text"] if stream else "")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("text", "path"),
    [
        ('{"city": "Bonn", "people": "many"}', "$.people"),
        ('{"town": "Bonn"}', "$"),
        ("Bonn", "$"),
        ('```json\n{"city": "Bonn"}\n```', "$"),
    ],
)
def test_answer_that_does_not_fit(
    dealer: Dealer, upstream: UpstreamServer, text: str, path: str, *, stream: bool
) -> None:
    upstream.script.append(tokens(text))

    *_, last = ask(dealer, stream=stream)

    refused = error(last)
    assert refused["code"] == "upstream_error"
    assert refused["details"] == {"text": text, "path": path}
    assert not refused["retryable"]


def test_answer_that_was_cut_off(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(events(piece('{"city": "Bo'), piece(finish_reason="length"), "[DONE]"))

    (last,) = ask(dealer)

    assert "cut off" in error(last)["message"]
    assert "max_tokens" in error(last)["hint"]


def test_answer_in_the_reasoning_is_the_answer(dealer: Dealer, upstream: UpstreamServer) -> None:
    """LM Studio puts all that some models say into their reasoning, the JSON too."""
    said = '{"city": "Bonn"}'
    upstream.script.append(
        events(piece(reasoning_content=said), piece("", finish_reason="stop"), usage(), "[DONE]")
    )

    *chunks, last = ask(dealer, stream=True)

    assert result(last)["text"] == told(chunks) == said


def test_reasoning_that_does_not_fit_is_no_answer(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(
        events(piece(reasoning_content="Hmm."), piece("", finish_reason="stop"), usage(), "[DONE]")
    )

    assert error(ask(dealer)[-1])["details"] == {"text": "", "path": "$"}


def test_tool_calls_need_not_fit(dealer: Dealer, upstream: UpstreamServer) -> None:
    call = {"index": 0, "id": "c", "function": {"name": "now", "arguments": "{}"}}
    upstream.script.append(
        events(piece(tool_calls=[call]), piece(finish_reason="tool_calls"), usage(), "[DONE]")
    )

    assert result(ask(dealer)[-1])["tool_calls"][0]["function"]["name"] == "now"
