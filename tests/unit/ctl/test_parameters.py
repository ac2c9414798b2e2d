"""Parameters as ``-o KEY=VALUE``."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.generation_request import GenerateOptions
from devsynthctl.parameter_keys import KEYS
from devsynthctl.parameters import OTHERWISE, generate_fields
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.requests import Generate, Request

TOOLS = [{"type": "function", "function": {"name": "now"}}]


@pytest.mark.parametrize(
    ("assignments", "fields"),
    [
        ([], {}),
        (["top_p=0.9", "top_k=40", "min_p=0", "seed=-7"], {"top_p": 0.9, "top_k": 40}),
        (["repeat_penalty=1.1", "presence_penalty=-2"], {"presence_penalty": -2}),
        (["frequency_penalty=0.5", "ttl=60"], {"frequency_penalty": 0.5, "ttl": 60}),
        (["seed=1", "seed=2"], {"seed": 2}),
        (["seed=null"], {"seed": None}),
        (["fallback=false"], {"fallback": False}),
        (["stop=###"], {"stop": ["###"]}),
        (["stop=a", "stop=b=c", 'stop=["d", "e"]'], {"stop": ["a", "b=c", "d", "e"]}),
        (["stop=5", "stop=null", 'stop="\\n"', "stop=["], {"stop": ["5", "null", "\n", "["]}),
        (['logit_bias={"15043": -100}'], {"logit_bias": {"15043": -100}}),
        ([f"tools={json.dumps(TOOLS)}"], {"tools": TOOLS}),
        (["tool_choice=required"], {"tool_choice": "required"}),
        (['tool_choice={"type":"function","function":{"name":"now"}}'], {}),
        (["extra.mirostat=2", "extra.top_n_sigma=1.5"], {"extra": {"mirostat": 2}}),
        (["extra.grammar=root ::= x"], {"extra": {"grammar": "root ::= x"}}),
        (["extra.a.b={}", "extra.none=null"], {"extra": {"a.b": {}, "none": None}}),
        (["extra.big=123456789012345678"], {"extra": {"big": 123456789012345678}}),
    ],
)
def test_values_are_json_or_text(assignments: list[str], fields: dict[str, Any]) -> None:
    found = generate_fields(assignments)
    subset = found["extra"] if "extra" in fields else found
    expected = fields.get("extra", fields)
    assert {key: subset[key] for key in expected} == expected


@pytest.mark.parametrize(
    ("assignment", "told"),
    [
        ("top_p=5", "-o top_p = 5 is not allowed: it takes a number from 0 to 1"),
        ("top_p=NaN", '-o top_p = "NaN" is not allowed'),
        ("top_p=", '-o top_p = "" is not allowed'),
        ("top_k=1.5", "-o top_k = 1.5 is not allowed: it takes an integer"),
        ("seed=true", "-o seed = true is not allowed"),
        ("ttl=0", "-o ttl = 0 is not allowed"),
        ("fallback=False", "true or false"),
        ("stop=", "-o stop"),
        ("stop=[1]", "-o stop"),
        ("tool_choice=maybe", "-o tool_choice"),
        ("tools={}", "-o tools: `tools` is not a list"),
        ("tools=[", "-o tools: `tools` is not a list"),
        ("logit_bias=[]", "-o logit_bias: `logit_bias` is not a map"),
        (f'tools=["{"x" * 2**20}"]', "-o tools: `tools` has 1048"),
        (f"extra.x={'x' * 2**20}", "-o extra: `extra` has 1048"),
        ("extra.x=123456789012345678901", "-o extra: `extra` cannot be sent"),
        ("top_p", "-o top_p has no value"),
    ],
    ids=lambda value: value[:30],
)
def test_what_is_not_allowed_is_told_with_its_key(assignment: str, told: str) -> None:
    with pytest.raises(BadRequest) as caught:
        generate_fields([assignment])
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "told", "hint"),
    [
        ("top_q=1", "did you mean top_p?", "-o extra.NAME=VALUE"),
        ("zzz=1", "it takes top_p, top_k", "-o extra.NAME=VALUE"),
        ("modle=1", "did you mean model?", "-o extra.NAME=VALUE"),
        ("model=m", "-o does not take model", "-m"),
        ("max_tokens=5", "-o does not take max_tokens", "--max-tokens"),
        ("extra={}", "without a name", "-o extra.NAME=VALUE"),
        ("extra.=1", "without a name", "-o extra.NAME=VALUE"),
        ("=1", "it takes top_p", "-o extra.NAME=VALUE"),
    ],
)
def test_a_key_that_is_none_is_told_with_what_was_meant(
    assignment: str, told: str, hint: str
) -> None:
    with pytest.raises(BadRequest) as caught:
        generate_fields([assignment])
    assert told in str(caught.value)
    assert hint in (caught.value.hint or "")


def test_every_field_of_a_generation_has_its_way() -> None:
    fields = set(Generate.__struct_fields__) - set(Request.__struct_fields__)
    asked_by_itself = {"extra", "progress"}
    assert {*KEYS, *OTHERWISE, *asked_by_itself} == fields | {"timeout"}
    assert fields - {"prompt", "stream", "progress"} == set(GenerateOptions.__annotations__)


@given(st.sampled_from(KEYS), st.text())
def test_no_text_is_a_crash(key: str, text: str) -> None:
    with contextlib.suppress(BadRequest):
        msgspec.json.encode(generate_fields([f"{key}={text}"]))
