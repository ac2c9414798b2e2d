"""The JSON Schema says of a message what the daemon and its clients say of it."""

import copy
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from devsynthd.wire import events, objects, replies, requests, results
from devsynthd.wire.codec import Encoding, Undecodable, decode_request
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.events import NEWS_TYPES
from devsynthd.wire.limits import MAX_SAFE_INTEGER
from devsynthd.wire.meanings import MEANINGS
from devsynthd.wire.requests import REQUEST_TYPES
from devsynthd.wire.results import RESULT_TYPES
from devsynthd.wire.schema import protocol_schema
from tests.vectors.conformity import Conformity, validator
from tests.vectors.vector import names, read

SCHEMA = protocol_schema()
DEFS: dict[str, dict[str, Any]] = SCHEMA["$defs"]
REQUESTS = validator("request")

MODULES = (requests, replies, results, objects, events)

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}

GOOD: list[dict[str, Any]] = [
    {"op": "ping", "id": 1, "v": 1, "timeout": 5, "sent": 1.7e9, "client": "editor/1"},
    {"op": "status", "id": "s"},
    {"op": "list", "id": 2.0, "refresh": True, "max_age": 60, "since": 3, "kind": "llm"},
    {"op": "list", "id": 3, "loaded": True, "kind": None},
    {"op": "select", "id": 4, "model": None, "persist": False, "force": True},
    {
        "op": "generate",
        "id": "g",
        "prompt": "hi",
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "x"}, IMAGE], "name": "me"},
            {"role": "assistant", "tool_calls": [CALL]},
            {"role": "tool", "content": "4", "tool_call_id": "c"},
        ],
        "system": "be brief",
        "raw": False,
        "suffix": None,
        "model": "a",
        "max_tokens": -1,
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 40,
        "min_p": 0.1,
        "seed": 5,
        "stop": ["\n", "END"],
        "repeat_penalty": 1.1,
        "presence_penalty": -1,
        "frequency_penalty": 1,
    },
    {
        "op": "generate",
        "id": 5,
        "prompt": "hi",
        "stop": "END",
        "logit_bias": {"15339": -100},
        "schema": {"type": "object", "properties": {"a": {"enum": [1, "b", None]}}},
        "tools": [TOOL],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "ttl": 60,
        "extra": {"mirostat": 2, "nested": [{"a": [1.5, None]}]},
        "stream": True,
        "progress": True,
        "wait": 5,
        "fallback": False,
        "background": True,
    },
    {"op": "generate", "id": 6, "prompt": "hi", "tool_choice": "auto", "tools": None},
    {"op": "embed", "id": "e", "input": ["some text", "and more"], "model": "a"},
    {"op": "embed", "id": "e", "input": "some text"},
    {"op": "load", "id": 7, "model": "a", "context_length": 4096, "progress": True},
    {"op": "unload", "id": 8, "model": "a"},
    {"op": "download", "id": 9, "model": "a", "quantization": "Q4_K_M", "progress": True},
    {"op": "cancel", "id": 10, "target": "g"},
    {"op": "cancel", "id": 11, "request": 3},
    {"op": "config_get", "id": 12, "key": "llm_model"},
    {"op": "config_set", "id": 13, "key": "llm_max_tokens", "value": 7},
    {"op": "reload", "id": 14},
    {"op": "subscribe", "id": 15, "topics": ["models", "log"]},
    {"op": "shutdown", "id": 16, "grace": 0},
]

# What JSON Schema cannot say, and what is therefore not among these: that a body, or a free-form
# field in it, has too many bytes or is nested too deeply; and what only MessagePack has, such as
# byte strings, NaN and keys that are numbers. That a request makes no sense although each field
# of it is right (a blank prompt, `suffix` without `raw`) is not told by the decoder either.
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, -1, -2, 2, 2.5, 100, 101, 1e9, 1e9 + 1, 1e12, 2**31, 16.0, 1.5, 0.999]),
    st.sampled_from([MAX_SAFE_INTEGER, MAX_SAFE_INTEGER + 1, -MAX_SAFE_INTEGER - 1]),
    st.sampled_from(["", "x", "x" * 64, "x" * 65, "x" * 128, "é" * 129, "x" * 1024, "x" * 1025]),
    st.sampled_from(["llm", "auto", "required", "function", "text", "log", "models"]),
    st.sampled_from([[], [[]], {}, {"a": 1}, [""], ["x"] * 64, ["x"] * 65, ["log"] * 17]),
    st.sampled_from([[TOOL], CALL, [CALL], IMAGE, [IMAGE], {"role": "user"}, [{"role": ""}]]),
    st.sampled_from([*GOOD[6].values(), *GOOD[5].values()]),
)


def inside(value: Any) -> list[Any]:  # noqa: ANN401 - a part of a message
    """Return *value* and every map and list in it that is not empty."""
    if not isinstance(value, dict | list) or not value:
        return []
    parts = list(value.values()) if isinstance(value, dict) else value
    return [value, *(found for part in parts for found in inside(part))]


@st.composite
def nearly_good(draw: st.DrawFn) -> dict[str, Any]:
    """Return a request with a few things too many, missing or replaced, at any depth."""
    request: dict[str, Any] = copy.deepcopy(draw(st.sampled_from(GOOD)))
    for _ in range(draw(st.integers(1, 3))):
        if not (places := inside(request)):
            break
        place = draw(st.sampled_from(places))
        keys = list(place) if isinstance(place, dict) else list(range(len(place)))
        key = draw(st.sampled_from(keys))
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            case "replace":
                place[key] = copy.deepcopy(draw(ODD))
            case "remove":
                del place[key]
            case "add" if isinstance(place, dict):
                name = draw(st.sampled_from(["more", "name", "model", "type", "op", "timeout"]))
                place[name] = copy.deepcopy(draw(ODD))
            case _:
                place.append(copy.deepcopy(draw(ODD)))
    return request


def is_taken(request: dict[str, Any], encoding: Encoding) -> bool:
    """Return whether the daemon's decoder takes *request*."""
    encode = msgspec.json.encode if encoding is Encoding.JSON else msgspec.msgpack.encode
    try:
        decode_request(encode(request), encoding)
    except Undecodable:
        return False
    return True


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_there_is_a_definition_for_every_message() -> None:
    told = {f"request.{op}" for op in REQUEST_TYPES} | {f"result.{op}" for op in RESULT_TYPES}
    told |= {f"reply.{name}" for name in ("result", "chunk", "progress", "event", "error")}
    told |= {f"event.{topic}" for topic in NEWS_TYPES}

    assert {name for name in DEFS if "." in name} == told
    assert DEFS["event.models"] == {"$ref": "#/$defs/result.list"}
    assert DEFS["event.upstream"] == {"$ref": "#/$defs/Source"}


def test_every_definition_and_every_field_is_described() -> None:
    own = {name: schema for name, schema in DEFS.items() if "properties" in schema}
    assert len(own) > 60
    for name, schema in own.items():
        assert schema["title"] == name
        assert schema["description"], name
        for field, told in schema["properties"].items():
            assert told.get("description"), f"{name}.{field} has no meaning"


@pytest.mark.parametrize("name", sorted(MEANINGS.keys() - {"Reply"}))
def test_no_meaning_is_left_of_a_field_that_is_gone(name: str) -> None:
    (struct,) = {getattr(module, name) for module in MODULES if hasattr(module, name)}

    assert set(MEANINGS[name]) <= {"op", *struct.__struct_fields__}


def test_requests_are_closed_and_replies_are_open() -> None:
    for name, schema in DEFS.items():
        closed = schema.get("additionalProperties") is False
        assert closed == (name.startswith("request.") or name in {"Message", "ContentPart"}), name


def test_the_codes_of_errors_are_told() -> None:
    assert DEFS["ErrorInfo"]["properties"]["code"]["examples"] == list(ErrorCode)


@pytest.mark.parametrize("name", names())
def test_recorded_messages_satisfy_it(name: str) -> None:
    conformity = Conformity()
    for message in read(name).messages:
        if message.sender == "daemon":
            conformity.received(message.value)
        else:
            assert conformity.sent(message.value) == is_taken(message.value, Encoding.MSGPACK)


@pytest.mark.parametrize("request_", GOOD, ids=lambda request: request["op"])
def test_what_is_right_is_taken_by_the_schema_and_by_the_decoder(request_: dict[str, Any]) -> None:
    REQUESTS.validate(request_)
    assert all(is_taken(request_, encoding) for encoding in Encoding)


def test_every_field_of_every_request_is_tried() -> None:
    tried = {op: {"op", "id", "v", "timeout", "sent", "client"} for op in REQUEST_TYPES}
    for request in GOOD:
        tried[request["op"]] |= set(request)
    assert tried == {op: set(DEFS[f"request.{op}"]["properties"]) for op in REQUEST_TYPES}


@given(nearly_good())
def test_the_schema_refuses_what_the_decoder_refuses_and_nothing_else(
    request: dict[str, Any],
) -> None:
    taken = {is_taken(request, encoding) for encoding in Encoding}

    assert taken == {REQUESTS.is_valid(request)}
