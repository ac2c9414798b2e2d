"""``generate``: what is sent upstream, and how the answer comes back."""

from pathlib import Path
from typing import Any

import pytest

from tests.service.asking import error, result, told, until_answered
from tests.support.daemon import Dealer, start_daemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import events, piece, tokens, usage
from tests.support.upstream_server import UpstreamServer

USER = {"role": "user", "content": "What is it?"}
ASSISTANT = {"role": "assistant", "content": "A daemon."}
PARTS = {
    "role": "user",
    "content": [
        {"type": "text", "text": "Look:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA", "detail": "low"}},
    ],
}
TOOL_CALL = {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
CALL = {"role": "assistant", "tool_calls": [TOOL_CALL]}
TOOL = {"role": "tool", "tool_call_id": "c1", "content": "noon"}

STRANGE = [
    "Grüße, 世界! ",
    "\U0001f469\u200d\U0001f4bb",
    "\r\n",
    "two\r\n\r\nlines\r\n",
    "\u2028\u0085\0",
    " ",
    "e\u0301 \ufeff",
    'data: {"x": 1}\n\n',
]


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"prompt": "Hi"}, [{"role": "user", "content": "Hi"}]),
        (
            {"prompt": " \n Hi\r\n"},  # not stripped
            [{"role": "user", "content": " \n Hi\r\n"}],
        ),
        (
            {"prompt": "Hi", "system": "Be brief."},
            [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}],
        ),
        ({"messages": [USER, ASSISTANT]}, [USER, ASSISTANT]),
        (
            {"prompt": "Why?", "messages": [USER, ASSISTANT], "system": "Be brief."},
            [
                {"role": "system", "content": "Be brief."},
                USER,
                ASSISTANT,
                {"role": "user", "content": "Why?"},
            ],
        ),
        ({"messages": [PARTS]}, [PARTS]),
        ({"messages": [USER, CALL, TOOL]}, [USER, CALL, TOOL]),
        ({"prompt": "".join(STRANGE)}, [{"role": "user", "content": "".join(STRANGE)}]),
    ],
)
def test_conversation_is_sent_in_order(
    dealer: Dealer, upstream: UpstreamServer, fields: dict[str, Any], messages: list[Any]
) -> None:
    result(dealer.ask(op="generate", id=1, **fields))

    assert upstream.wait_generation().body["messages"] == messages


@pytest.mark.parametrize("stream", [False, True])
def test_defaults_are_sent(dealer: Dealer, upstream: UpstreamServer, *, stream: bool) -> None:
    dealer.send(op="generate", id=1, prompt="Hi", stream=stream)
    until_answered(dealer, 1)

    exchange = upstream.wait_generation()
    assert (exchange.method, exchange.path) == ("POST", "/v1/chat/completions")
    assert exchange.headers["content-type"] == "application/json"
    assert "authorization" not in exchange.headers
    assert exchange.body == {
        "model": "a",
        "messages": [{"role": "user", "content": "Hi"}],
        "max_tokens": 1024,
        "temperature": 0.7,
        "stream": True,  # in any case: it could not be cancelled otherwise
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize(
    ("settings", "fields", "max_tokens", "temperature"),
    [
        ({"llm_max_tokens": 7, "llm_temperature": 0.0}, {}, 7, 0.0),
        ({"llm_max_tokens": 7}, {"max_tokens": 9, "temperature": 2}, 9, 2),
        ({"llm_max_tokens": -1}, {}, None, 0.7),
        ({"llm_max_tokens": -1}, {"max_tokens": 5}, 5, 0.7),
        ({}, {"max_tokens": -1, "temperature": 0}, None, 0),
        ({}, {"max_tokens": None, "temperature": None}, 1024, 0.7),
    ],
)
def test_fields_beat_settings(
    short_dir: Path,
    upstream: UpstreamServer,
    settings: dict[str, Any],
    fields: dict[str, Any],
    max_tokens: int | None,
    temperature: float,
) -> None:
    with start_daemon(short_dir, upstream, **settings) as daemon:
        result(daemon.dealer().ask(op="generate", id=1, prompt="Hi", **fields))

    body = upstream.wait_generation().body
    assert body.get("max_tokens") == max_tokens
    assert ("max_tokens" in body) == (max_tokens is not None)
    assert body["temperature"] == temperature


def test_api_key_is_sent(short_dir: Path, upstream: UpstreamServer) -> None:
    with start_daemon(short_dir, upstream, llm_api_key="k3y") as daemon:
        result(daemon.dealer().ask(op="generate", id=1, prompt="Hi"))

    assert upstream.wait_generation().headers["authorization"] == "Bearer k3y"
    assert upstream.lists[0].headers["authorization"] == "Bearer k3y"


def test_completion_has_all_its_fields(dealer: Dealer) -> None:
    answer = result(dealer.ask(op="generate", id=1, prompt="Hi"))

    timing = answer.pop("timing")
    assert set(timing) == {"queued_s", "waiting_s", "streaming_s", "total_s", "tokens_per_s"}
    assert answer == {
        "model": "a",
        "text": "Hello world",
        "reasoning": None,
        "tool_calls": [],
        "finish_reason": "stop",
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
        "fallback": False,
        "warnings": [],
    }


def test_seconds_add_up(dealer: Dealer, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", "c", gate=gate))
    dealer.send(op="generate", id=1, prompt="Hi", stream=True)
    for _ in range(3):
        gate.step()
        dealer.receive()
    gate.step()

    timing = result(dealer.receive())["timing"]

    parts = [timing[name] for name in ("queued_s", "waiting_s", "streaming_s")]
    assert all(part > 0 for part in parts)
    assert abs(sum(parts) - timing["total_s"]) < 0.001
    assert timing["tokens_per_s"] == pytest.approx(3 / timing["streaming_s"])


def test_an_answer_without_text_has_its_seconds_too(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    call = {"index": 0, "id": "1", "function": {"name": "look", "arguments": "{}"}}
    upstream.script.append(
        events(piece(tool_calls=[call]), piece(finish_reason="tool_calls"), "[DONE]")
    )

    answer = result(dealer.ask(op="generate", id=1, prompt="Hi"))

    assert answer["tool_calls"][0]["function"]["name"] == "look"
    assert answer["timing"]["waiting_s"] > 0
    assert answer["timing"]["total_s"] > answer["timing"]["queued_s"]


def test_time_in_the_queue_is_told(short_dir: Path, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", gate=gate))
    with start_daemon(short_dir, upstream, daemon_max_concurrency=1) as daemon:
        dealer = daemon.dealer()
        dealer.send(op="generate", id="first", prompt="Hi")
        dealer.send(op="generate", id="second", prompt="Hi")
        gate.step(2)
        first, second = until_answered(dealer, "first", "second")

    assert (first["id"], second["id"]) == ("first", "second")
    told_first, told_second = result(first)["timing"], result(second)["timing"]
    assert told_second["queued_s"] > told_first["waiting_s"]
    assert told_second["queued_s"] < told_second["total_s"]


@pytest.mark.parametrize("stream", [False, True])
def test_text_arrives_byte_for_byte(
    dealer: Dealer, upstream: UpstreamServer, *, stream: bool
) -> None:
    upstream.script.append(tokens(*STRANGE))

    dealer.send(op="generate", id=1, prompt="Hi", stream=stream)
    *chunks, last = until_answered(dealer, 1)

    assert result(last)["text"] == "".join(STRANGE)
    assert told(chunks) == ("".join(STRANGE) if stream else "")


def test_chunks_come_as_they_are_generated(dealer: Dealer, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("one ", "two ", "three", gate=gate))
    dealer.send(op="generate", id=1, prompt="Hi", stream=True)

    for seq, text in enumerate(["one ", "two ", "three"]):
        gate.step()
        assert dealer.receive() == {"type": "chunk", "id": 1, "seq": seq, "text": text}
    gate.step()

    assert result(dealer.receive())["text"] == "one two three"


def test_long_stream_is_complete(dealer: Dealer, upstream: UpstreamServer) -> None:
    words = [f"{number} " for number in range(5000)]
    upstream.script.append(tokens(*words))

    dealer.send(op="generate", id=1, prompt="Hi", stream=True)
    *chunks, last = until_answered(dealer, 1)

    assert told(chunks) == "".join(words) == result(last)["text"]


def test_reasoning_is_kept_apart(dealer: Dealer, upstream: UpstreamServer) -> None:
    upstream.script.append(
        events(
            piece(reasoning_content="Let me "),
            piece(reasoning_content="think."),
            piece("Yes."),
            piece(finish_reason="stop"),
            usage(),
            "[DONE]",
        )
    )
    dealer.send(op="generate", id=1, prompt="Hi", stream=True)
    *chunks, last = until_answered(dealer, 1)

    assert told(chunks) == result(last)["text"] == "Yes."
    assert "".join(chunk.get("reasoning", "") for chunk in chunks) == "Let me think."
    assert result(last)["reasoning"] == "Let me think."


def test_usage_is_null_where_the_upstream_does_not_tell(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    upstream.script.append(events(piece("Hi", finish_reason="stop"), "[DONE]"))

    answer = result(dealer.ask(op="generate", id=1, prompt="Hi"))

    assert answer["usage"] is None
    assert answer["timing"]["tokens_per_s"] is None


def test_absurd_counts_of_the_upstream_break_nothing(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    absurd = usage(completion=10**30)
    upstream.script.append(events(piece("Hi", finish_reason="stop"), absurd, "[DONE]"))

    reply = dealer.ask(op="generate", id=1, prompt="Hi")

    assert reply["type"] == "result" or error(reply)["code"] == "internal"
    assert result(dealer.ask(op="generate", id=2, prompt="Hi"))["text"] == "Hello world"
