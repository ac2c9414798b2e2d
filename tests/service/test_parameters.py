"""All that a ``generate`` can say: it reaches the upstream, or is refused before anything does."""

from typing import Any

import pytest

from tests.service.asking import error, result
from tests.support.daemon import Dealer
from tests.support.upstream_server import UpstreamServer

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
SCHEMA = {"type": "string"}


def test_every_parameter_reaches_the_upstream(dealer: Dealer, upstream: UpstreamServer) -> None:
    sent = {
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.05,
        "seed": 7,
        "stop": ["END", "\n\n"],
        "repeat_penalty": 1.1,
        "presence_penalty": -0.5,
        "frequency_penalty": 0.5,
        "logit_bias": {"15339": -100},
        "tools": [TOOL],
        "tool_choice": "auto",
        "ttl": 60,
    }
    extra = {"mirostat": 2, "cache_prompt": True}

    result(dealer.ask(op="generate", id=1, prompt="x", extra=extra, **sent))

    body = upstream.wait_generation().body
    assert {key: body[key] for key in (*sent, *extra)} == sent | extra


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"temperature": 2.1}, "temperature"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": 1.5}, "max_tokens"),
        ({"top_p": 1.01}, "top_p"),
        ({"top_k": -2}, "top_k"),
        ({"min_p": -0.1}, "min_p"),
        ({"seed": 1.5}, "seed"),
        ({"stop": ""}, "stop"),
        ({"stop": ["x"] * 65}, "stop"),
        ({"repeat_penalty": 0}, "repeat_penalty"),
        ({"presence_penalty": 2.5}, "presence_penalty"),
        ({"frequency_penalty": -2.5}, "frequency_penalty"),
        ({"logit_bias": {"1": "x"}}, "logit_bias"),
        ({"logit_bias": []}, "logit_bias"),
        ({"schema": "object"}, "schema"),
        ({"schema": {"type": "thing"}}, "schema"),
        ({"tools": {"name": "now"}}, "tools"),
        ({"tools": ["now"]}, "tools"),
        ({"tool_choice": "never"}, "tool_choice"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"ttl": 0}, "ttl"),
        ({"wait": -1}, "wait"),
        ({"extra": {"model": "other"}}, "model"),
        ({"extra": {"response_format": {"type": "json_object"}}}, "response_format"),
        ({"extra": [1]}, "extra"),
        ({"extra": {"x": "y" * 2**20}}, "extra"),
        ({"raw": True, "system": "s"}, "system"),
        ({"suffix": "s"}, "suffix"),
        ({"background": "yes"}, "background"),
        ({"prompt": "  "}, "prompt"),
        ({"prompt": None, "messages": []}, "messages"),
        ({"prompt": None, "messages": [{"role": "user", "content": " "}]}, "messages"),
        ({"prompt": None, "messages": [{"role": "user"}]}, "messages"),
        ({"extra": {"max_completion_tokens": 5}}, "max_tokens"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "text": "x"}]}, "text"),
        ({"temprature": 1}, "temperature"),
    ],
)
def test_what_is_wrong_is_named_before_anything_is_sent(
    dealer: Dealer, upstream: UpstreamServer, fields: dict[str, Any], named: str
) -> None:
    refused = error(dealer.ask(**({"op": "generate", "id": 1, "prompt": "x"} | fields)))

    assert refused["code"] == "bad_request"
    assert named in refused["message"] + (refused["hint"] or "")
    assert upstream.generations == []
    assert result(dealer.ask(op="generate", id=1, prompt="x"))


def test_schema_becomes_a_response_format(dealer: Dealer, upstream: UpstreamServer) -> None:
    dealer.ask(op="generate", id=1, prompt="x", schema=SCHEMA)

    assert upstream.wait_generation().body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }
