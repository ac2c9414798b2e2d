"""What is sent for a chat, a text, a gap and vectors."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from devsynthd.upstream.base import Chat
from devsynthd.upstream.bodies import Order, order_of, vectors_body
from devsynthd.upstream.fill_in import FillIn
from devsynthd.wire.requests import Message

CHAT = Chat(model="m", messages=(Message("user", "hi"),), max_tokens=7, temperature=0.5)
TEXT = Chat(model="m", messages=(), max_tokens=7, temperature=0.5, prompt=" def f(x):\n")
GAP = msgspec.structs.replace(TEXT, suffix="\n    return y")
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def _body(order: Order) -> Any:  # noqa: ANN401 - JSON is anything
    return json.loads(order.body)


def _with(chat: Chat, **parameters: object) -> Chat:
    return msgspec.structs.replace(chat, parameters=parameters)


def test_a_chat_is_its_messages() -> None:
    order = order_of(CHAT)

    assert (order.path, order.at_root) == ("/chat/completions", False)
    assert _body(order) == {
        "model": "m",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 7,
        "temperature": 0.5,
        **STREAM,
    }


def test_a_text_is_its_prompt_as_it_is() -> None:
    order = order_of(TEXT)

    assert (order.path, order.at_root) == ("/completions", False)
    assert _body(order) == {
        "model": "m",
        "prompt": " def f(x):\n",
        "max_tokens": 7,
        "temperature": 0.5,
        **STREAM,
    }


def test_an_empty_prompt_is_one() -> None:
    order = order_of(msgspec.structs.replace(TEXT, prompt=""))

    assert order.path == "/completions"
    assert _body(order)["prompt"] == ""


def test_a_gap_in_a_field() -> None:
    order = order_of(GAP, FillIn.FIELD)

    assert order.path == "/completions"
    assert _body(order) == {**_body(order_of(TEXT)), "suffix": "\n    return y"}


@pytest.mark.parametrize("suffix", ["", "x"])
def test_a_gap_for_llama_cpp(suffix: str) -> None:
    order = order_of(msgspec.structs.replace(GAP, suffix=suffix), FillIn.INFILL)

    assert (order.path, order.at_root) == ("/infill", True)
    assert _body(order) == {
        "model": "m",
        "input_prefix": " def f(x):\n",
        "input_suffix": suffix,
        "n_predict": 7,
        "temperature": 0.5,
        "stream": True,
    }


@pytest.mark.parametrize("fill_in", FillIn)
def test_how_gaps_are_filled_matters_to_gaps_only(fill_in: FillIn) -> None:
    assert order_of(CHAT, fill_in) == order_of(CHAT)
    assert order_of(TEXT, fill_in) == order_of(TEXT)


@pytest.mark.parametrize(
    ("chat", "fill_in"),
    [(CHAT, None), (TEXT, None), (GAP, FillIn.FIELD), (GAP, FillIn.INFILL)],
)
def test_parameters_are_added_and_replace_nothing(chat: Chat, fill_in: FillIn | None) -> None:
    plain = _body(order_of(chat, fill_in))
    more = {"top_p": 0.9, "stop": ["\n"], "logit_bias": Raw(b'{"15339":-100}')}
    order = order_of(_with(chat, **more, **dict.fromkeys(plain, "mine")), fill_in)

    assert _body(order) == plain | more | {"logit_bias": {"15339": -100}}


def test_json_text_deep_inside_is_sent_as_it_is() -> None:
    """F26: a schema in its own order and spelling, which some servers show to the model."""
    schema = Raw(b'{"type": "object", "properties": {"b": {}, "a": {}}}')
    form = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}

    assert bytes(schema) in order_of(_with(CHAT, response_format=form)).body


@pytest.mark.parametrize("chat", [CHAT, TEXT])
def test_no_limit_is_not_sent(chat: Chat) -> None:
    assert "max_tokens" not in _body(order_of(msgspec.structs.replace(chat, max_tokens=None)))


def test_no_limit_of_a_gap_is_not_sent() -> None:
    gap = msgspec.structs.replace(GAP, max_tokens=None)

    assert "n_predict" not in _body(order_of(gap, FillIn.INFILL))


def test_vectors_are_asked_for_in_one_list() -> None:
    assert json.loads(vectors_body("m", ("a",))) == {"model": "m", "input": ["a"]}
