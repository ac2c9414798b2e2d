"""Which fields of a request become fields of the body that is sent upstream."""

import json
from typing import Any

import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from devsynthd.service.parameters import SET_BY_THE_DAEMON, parameters
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.requests import FunctionName, Generate, ToolChoice

TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}


def text(value: object) -> Raw:
    return Raw(json.dumps(value).encode())


def sent(**fields: Any) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the parameters of a request with these fields, as they stand in the body."""
    request = Generate(id=1, prompt="x", **fields)
    return json.loads(msgspec.json.encode(parameters(request)))


def refusal(**fields: Any) -> BadRequest:  # noqa: ANN401 - any fields
    with pytest.raises(BadRequest) as caught:
        parameters(Generate(id=1, prompt="x", **fields))
    return caught.value


def test_nothing_is_sent_that_was_not_given() -> None:
    assert sent() == {}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("top_p", 0.5),
        ("top_k", 40),
        ("min_p", 0.05),
        ("seed", -1),
        ("repeat_penalty", 1.1),
        ("presence_penalty", -2),
        ("frequency_penalty", 2),
        ("ttl", 60),
        ("stop", "END"),
        ("stop", ["a", "b"]),
        ("tool_choice", "required"),
    ],
)
def test_a_field_is_sent_under_its_name(field: str, value: object) -> None:
    more = {"tools": text([TOOL])} if field == "tool_choice" else {}

    assert sent(**{field: value}, **more)[field] == value


@pytest.mark.parametrize("field", ["top_k", "seed", "ttl"])
def test_an_integral_float_is_sent_as_an_integer(field: str) -> None:
    request = replace(Generate(id=1, prompt="x"), **{field: 7.0})

    assert msgspec.json.encode(parameters(request)) == b'{"%s":7}' % field.encode()


def test_zero_is_a_value_too() -> None:
    assert sent(seed=0, top_k=0, presence_penalty=0.0) == {
        "seed": 0,
        "top_k": 0,
        "presence_penalty": 0,
    }


def test_free_form_fields_go_on_to_the_letter() -> None:
    schema = b'{"type": "object",  "b": 1, "a": 1.0}'

    body = msgspec.json.encode(parameters(Generate(id=1, prompt="x", schema=Raw(schema))))

    assert schema in body
    assert json.loads(body) == {
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": json.loads(schema)},
        }
    }
    assert sent(logit_bias=text({"15339": -100, "hello": 0.5}), tools=text([TOOL])) == {
        "logit_bias": {"15339": -100, "hello": 0.5},
        "tools": [TOOL],
    }


def test_one_tool_can_be_chosen() -> None:
    choice = ToolChoice(function=FunctionName("now"))

    assert sent(tools=text([TOOL]), tool_choice=choice)["tool_choice"] == {
        "type": "function",
        "function": {"name": "now"},
    }


def test_extra_parameters_are_sent_as_they_are() -> None:
    extra = {"mirostat": 2, "draft_model": "x", "deep": {"a": [None, True]}}

    assert sent(extra=text(extra), top_p=0.5) == {"top_p": 0.5, **extra}


@pytest.mark.parametrize("key", SET_BY_THE_DAEMON)
def test_extra_does_not_replace_what_the_daemon_sets(key: str) -> None:
    error = refusal(extra=text({key: 1}))

    assert f"`{key}`" in str(error)
    assert error.hint


@pytest.mark.parametrize(
    "fields",
    [
        {"logit_bias": text({"1": "much"})},
        {"logit_bias": text({"1": True})},
        {"tools": text(["now"])},
        {"tools": text([{"type": "function"}])},
        {"tools": text([TOOL, {"function": {"name": 5}}])},
        {"tool_choice": "auto"},
    ],
)
def test_what_cannot_be_meant_is_refused(fields: dict[str, Any]) -> None:
    (first, *_) = fields

    assert f"`{first}" in str(refusal(**fields))
