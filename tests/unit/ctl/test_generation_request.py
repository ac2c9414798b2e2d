"""The request that a generation's options make."""

import copy
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.generation_request import generate_request, packed
from devsynthd.wire.codec import Encoding, decode_request, encode
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.freeform import value_of
from devsynthd.wire.requests import ABSENT, Generate, ToolChoice

CHOICE = {"type": "function", "function": {"name": "now"}}
OPTIONS: dict[str, Any] = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
    "system": "be brief",
    "raw": True,
    "suffix": "end",
    "model": "m",
    "max_tokens": 5,
    "temperature": 0.5,
    "top_p": 0.9,
    "top_k": 40,
    "min_p": 0.1,
    "seed": 7,
    "stop": ("a", "b"),
    "repeat_penalty": 1.1,
    "presence_penalty": 0.2,
    "frequency_penalty": 0.3,
    "logit_bias": {15043: -100},
    "schema": {"type": "object", "properties": {"a": {"type": "integer"}}},
    "tools": [{"type": "function", "function": {"name": "now", "parameters": {}}}],
    "tool_choice": CHOICE,
    "ttl": 60,
    "extra": {"mirostat": 2, "nested": [None, {"deep": 1.5}]},
    "wait": 1.5,
    "fallback": False,
    "background": True,
}


def received(**options: Any) -> Generate:  # noqa: ANN401 - any of the options
    """Return the request as a daemon reads it."""
    request = decode_request(encode(generate_request("hi", options, stream=True)), MSGPACK)
    assert isinstance(request, Generate)
    return request


MSGPACK = Encoding.MSGPACK


def test_every_option_arrives() -> None:
    request = received(**OPTIONS)

    plain = {"model", "system", "raw", "suffix", "max_tokens", "temperature", "top_p", "top_k"}
    plain |= {"min_p", "seed", "repeat_penalty", "presence_penalty", "frequency_penalty", "ttl"}
    plain |= {"wait", "fallback", "background"}
    assert {name: getattr(request, name) for name in plain} == {
        name: OPTIONS[name] for name in plain
    }
    assert request.stop == ["a", "b"]
    assert value_of(request.logit_bias) == {"15043": -100}
    for name in ("schema", "tools", "extra"):
        assert value_of(getattr(request, name)) == OPTIONS[name]
    assert msgspec.to_builtins(request.tool_choice) == CHOICE
    assert msgspec.to_builtins(request.messages) == OPTIONS["messages"]


def test_the_caller_s_values_are_left_as_they_are() -> None:
    before = copy.deepcopy(OPTIONS)
    generate_request("hi", OPTIONS, stream=False)
    assert before == OPTIONS


@pytest.mark.parametrize("options", [{}, dict.fromkeys(("schema", "tools", "extra", "logit_bias"))])
def test_what_is_not_given_is_not_sent(options: dict[str, Any]) -> None:
    body = encode(generate_request("hi", options, stream=False))
    assert msgspec.msgpack.decode(body) == {"op": "generate", "id": 0, "prompt": "hi"}
    assert received(**options).schema is ABSENT


@pytest.mark.parametrize("choice", ["auto", "none", "required", ToolChoice(function={"name": "x"})])  # type: ignore[arg-type]
def test_a_choice_is_sent_as_it_is(choice: Any) -> None:  # noqa: ANN401
    assert generate_request("hi", {"tool_choice": choice}, stream=False).tool_choice == choice


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"tool_choice": {"type": "function"}}, "`tool_choice` is not in OpenAI form"),
        ({"messages": [{"role": 7}]}, "a message is not in OpenAI form"),
        ({"schema": []}, "`schema` is not a map"),
        ({"schema": "{}"}, "`schema` is not a map"),
        ({"tools": {}}, "`tools` is not a list"),
        ({"extra": {"x": float("nan")}}, "`extra` cannot be sent as JSON"),
        ({"extra": {"x": float("inf")}}, "`extra` cannot be sent as JSON"),
        ({"extra": {"x": b"bytes"}}, "`extra` cannot be sent as JSON"),
        ({"extra": {"x": datetime.now(UTC)}}, "`extra` cannot be sent as JSON"),
        ({"extra": {"x": 2**64}}, "`extra` cannot be sent"),
        ({"extra": {"x": "\udcff"}}, "`extra` cannot be sent"),
        ({"logit_bias": {(1, 2): 1}}, "`logit_bias` cannot be sent as JSON"),
        ({"extra": {"x": "x" * 2**20}}, "`extra` has 1048"),
    ],
    ids=str,
)
def test_what_no_daemon_takes_is_refused_here(options: dict[str, Any], told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        generate_request("hi", options, stream=False)


def test_nesting_without_end_is_refused() -> None:
    endless: list[Any] = []
    for _ in range(100_000):
        endless = [endless]
    with pytest.raises(BadRequest, match="nested too deeply"):
        packed("tools", endless)
    while endless:  # taken apart step by step: dropping it at once would go as deep
        endless = endless.pop()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text() | st.floats(-1e9, 1e9),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_free_form_values_arrive_as_they_are(value: dict[str, Any]) -> None:
    assert value_of(received(extra=value).extra) == value
