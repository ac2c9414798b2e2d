"""A wrong field is refused with its name, what came and what is allowed."""

import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.wire.codec import Encoding, Undecodable, decode_request
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_INPUTS, MAX_PARTS, MAX_STOPS
from devsynthd.wire.requests import REQUEST_TYPES
from tests.unit.wire.asking import ENCODERS, encodings, generate, outcome, refused

AN_ID = "a text of 1 to 128 characters, or an integer from -9007199254740991 to 9007199254740991"
A_STOP = f"a text of 1 to 1024 characters, a list of at most {MAX_STOPS} of them, or null"
AN_INPUT = f"a text of at least 1 character, or a list of 1 to {MAX_INPUTS} of them"
A_CHOICE = "auto, none or required, a map with `function`, or null"
CONTENT = f"a text, a list of at most {MAX_PARTS} items, each a map with `type`, or null"
A_COUNT = "an integer from -1 to 2147483647, or null"


def with_part(**part: object) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [part]}]


@encodings
@pytest.mark.parametrize(
    ("op", "fields", "says"),
    [
        ("generate", {"temperature": 3}, "`temperature` is 3; allowed: a number from 0 to 2, or"),
        ("generate", {"temperature": -0.5}, "`temperature` is -0.5; allowed: a number from 0 to"),
        ("generate", {"temperature": True}, "`temperature` is true; allowed: a number from 0"),
        ("generate", {"temperature": "hot"}, "`temperature` is a text; allowed: a number from"),
        ("generate", {"temperature": []}, "`temperature` is a list; allowed: a number from"),
        ("generate", {"temperature": {}}, "`temperature` is a map; allowed: a number from"),
        ("generate", {"max_tokens": 1.5}, f"`max_tokens` is 1.5; allowed: {A_COUNT}"),
        ("generate", {"max_tokens": -2}, f"`max_tokens` is -2; allowed: {A_COUNT}"),
        ("generate", {"max_tokens": 2**31}, f"`max_tokens` is 2147483648; allowed: {A_COUNT}"),
        ("generate", {"top_p": 2}, "`top_p` is 2; allowed: a number from 0 to 1, or null"),
        ("generate", {"top_k": 0.5}, f"`top_k` is 0.5; allowed: {A_COUNT}"),
        ("generate", {"repeat_penalty": 0}, "a number above 0 and up to 100, or null"),
        ("generate", {"seed": 2**63}, "`seed` is 9223372036854775808; allowed: an integer from"),
        ("generate", {"ttl": 0}, "`ttl` is 0; allowed: an integer from 1 to 2147483647, or null"),
        ("generate", {"stop": ""}, f"`stop` is too short; allowed: {A_STOP}"),
        ("generate", {"stop": "x" * 1025}, f"`stop` is too long; allowed: {A_STOP}"),
        ("generate", {"stop": ["x"] * 65}, f"`stop` is too long; allowed: {A_STOP}"),
        ("generate", {"stop": 5}, f"`stop` is 5; allowed: {A_STOP}"),
        ("generate", {"stop": ["x", ""]}, "`stop[1]` is too short; allowed: a text of 1 to 1024"),
        ("generate", {"stop": ["x", None]}, "`stop[1]` is null; allowed: a text of 1 to 1024"),
        ("generate", {"tool_choice": "all"}, f"`tool_choice` is 'all'; allowed: {A_CHOICE}"),
        ("generate", {"tool_choice": "x" * 61}, f"is something else; allowed: {A_CHOICE}"),
        ("generate", {"tool_choice": {}}, "`tool_choice.function` is missing; allowed: a map with"),
        (
            "generate",
            {"tool_choice": {"function": {"name": 4}}},
            "function.name` is 4; allowed: a text",
        ),
        ("generate", {"stream": "yes"}, "`stream` is a text; allowed: true or false"),
        ("generate", {"raw": 1}, "`raw` is 1; allowed: true or false"),
        ("generate", {"fallback": 0}, "`fallback` is 0; allowed: true or false, or null"),
        ("generate", {"prompt": 7}, "`prompt` is 7; allowed: a text, or null"),
        ("generate", {"messages": None}, "`messages` is null; allowed: a list of at most 4096"),
        ("generate", {"messages": ["x"]}, "`messages[0]` is a text; allowed: a map with `role`"),
        ("generate", {"messages": [{}]}, "`messages[0].role` is missing; allowed: a text of 1 to"),
        ("generate", {"messages": [{"role": "user"}, {"role": 1}]}, "`messages[1].role` is 1; al"),
        ("generate", {"messages": [{"role": "x" * 33}]}, "`messages[0].role` is too long; allowed"),
        (
            "generate",
            {"messages": [{"role": "u", "content": 5}]},
            f"content` is 5; allowed: {CONTENT}",
        ),
        (
            "generate",
            {"messages": with_part(type="video")},
            "`messages[0].content[0].type` is 'video'; allowed: image_url or",
        ),
        (
            "generate",
            {"messages": with_part(type="text", image_url={"url": 5})},
            "e_url.url` is 5;",
        ),
        ("list", {"kind": "chat"}, "`kind` is 'chat'; allowed: embedding or llm, or null"),
        ("list", {"kind": 5}, "`kind` is 5; allowed: embedding or llm, or null"),
        ("list", {"since": -1}, "`since` is -1; allowed: an integer from 0 to 9007199254740991"),
        ("ping", {"timeout": 0}, "`timeout` is 0; allowed: a number above 0 and up to 1000000000"),
        ("ping", {"client": "x" * 65}, "`client` is too long; allowed: a text of at most 64 chara"),
        ("ping", {"id": 1.5}, f"`id` is 1.5; allowed: {AN_ID}"),
        ("ping", {"id": {}}, f"`id` is a map; allowed: {AN_ID}"),
        ("ping", {"v": True}, "`v` is true; allowed: an integer"),
        ("select", {}, "`model` is missing; allowed: a text of 1 to 1024 characters, or null"),
        ("embed", {}, f"`input` is missing; allowed: {AN_INPUT}"),
        ("embed", {"input": ""}, f"`input` is too short; allowed: {AN_INPUT}"),
        ("embed", {"input": []}, f"`input` is too short; allowed: {AN_INPUT}"),
        ("embed", {"input": ["x", 5]}, "`input[1]` is 5; allowed: a text of at least 1 character"),
        ("embed", {"input": ["x"] * (MAX_INPUTS + 1)}, f"`input` is too long; allowed: {AN_INPUT}"),
        ("config_set", {"key": "k", "value": []}, "`value` is a list; allowed: a text, a number,"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(
    encoding: Encoding, op: str, fields: dict[str, Any], says: str
) -> None:
    error = refused(ENCODERS[encoding]({"id": 3, "op": op} | fields))

    assert isinstance(error.reason, BadRequest)
    assert str(error.reason).startswith(f"`{op}`: ")
    assert says in str(error.reason)
    assert error.request_id == (None if "id" in fields else 3)


@encodings
def test_what_came_is_not_looked_for_in_a_huge_list(encoding: Encoding) -> None:
    messages = [{"role": "user", "content": "x" * 2**20}, {"role": 5}]

    error = refused(generate(encoding, messages=messages))

    assert "`messages[1].role` is an integer; allowed: a text of 1 to 32" in str(error.reason)


@encodings
def test_what_came_is_found_beside_huge_fields(encoding: Encoding) -> None:
    body = generate(encoding, prompt="x" * 2**20, system="x" * 2**20, temperature=3)

    tracemalloc.start()
    error = refused(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "`temperature` is 3;" in str(error.reason)
    assert peak_bytes < 5 * 2**20  # the texts were built once, before the number was seen


@pytest.mark.parametrize("number", ["1" * 100, "-" + "1" * 100, "1e308", "1" * 2000])
def test_a_long_number_is_cut_off(number: str) -> None:
    error = refused(generate(Encoding.JSON, temperature=msgspec.Raw(number.encode())))

    assert len(str(error.reason)) < 140
    assert "allowed: a number from 0 to 2, or null" in str(error.reason)


@pytest.mark.parametrize("value", ["secret", b"secret", ["secret"], {"secret": "secret"}])
@pytest.mark.parametrize("field", ["temperature", "stream", "messages", "stop", "prompt"])
@encodings
def test_texts_are_not_repeated(encoding: Encoding, field: str, value: object) -> None:
    error = outcome(generate(encoding, **{field: value}), encoding)

    if isinstance(error, Undecodable):  # some of them are allowed
        assert "secret" not in str(error.reason)
        assert field in str(error.reason)


@encodings
@pytest.mark.parametrize(
    ("fields", "says", "hint"),
    [
        ({"promt": "x"}, "unknown field `promt` in `generate`", "did you mean `prompt`?"),
        ({"zzz": 1}, "unknown field `zzz` in `generate`", "fields: id, v,"),
        ({"z" * 1000: 1}, f"unknown field `{'z' * 64}` in `generate`", "fields: id, v,"),
        ({"two\nlines": 1}, "unknown field `two\nlines` in `generate`", "fields: id, v,"),
        (
            {"messages": [{"role": "user", "kontent": "x"}]},
            "unknown field `kontent` in `messages[0]` of `generate`",
            "did you mean `content`?",
        ),
        (
            {"messages": with_part(type="text", zzz="x")},
            "unknown field `zzz` in `messages[0].content[0]` of `generate`",
            "fields: type, text, image_url",
        ),
    ],
)
def test_an_unknown_field_is_told_with_where_it_is(
    encoding: Encoding, fields: dict[str, Any], says: str, hint: str
) -> None:
    reason = refused(generate(encoding, **fields)).reason

    assert str(reason) == says
    assert (reason.hint or "").startswith(hint)


@pytest.mark.parametrize("name", ["x` - at `$.prompt", "x` - at `$.messages[9].role", "x` - at `$"])
def test_a_field_with_a_misleading_name_is_refused_all_the_same(name: str) -> None:
    assert refused(generate(Encoding.JSON, **{name: 1})).request_id == 3


@pytest.mark.parametrize("encoding", Encoding)
@pytest.mark.parametrize("before", ["", "é", "\n"])
def test_bad_utf_8_is_told_with_its_place(encoding: Encoding, before: str) -> None:
    body = generate(encoding, prompt=f"{before}@").replace(b"@", b"\xff")
    place = body.index(b"\xff")

    said = str(refused(body).reason)
    where = f": 0xff at byte {place} of the request"
    if encoding is Encoding.MSGPACK:  # the place in it is not told by every msgspec
        said, where = said.removesuffix(where), ""
    assert said == f"`generate`: text that is not UTF-8{where}"


@pytest.mark.parametrize(
    "text",
    ["\\ud83d", "\\ud83d and more", "\\ud83d\\u0041", "\\ude00", "more \\uDE00 text", "\\uD83D\\n"],
)
@pytest.mark.parametrize("field", ["prompt", "extra"])
def test_half_of_a_surrogate_pair_is_told_as_such(field: str, text: str) -> None:
    value = f'"{text}"' if field == "prompt" else f'{{"a":"{text}"}}'
    body = generate(Encoding.JSON, **{field: msgspec.Raw(value.encode())})

    reason = refused(body).reason

    position = body.lower().index(b"\\ud")
    assert f"half of a character, {body[position : position + 6].decode()}" in str(reason)
    assert str(reason).endswith(f"at byte {position}")


def test_a_whole_surrogate_pair_is_a_character() -> None:
    body = generate(Encoding.JSON, prompt=msgspec.Raw(b'"\\ud83d\\ude42"'))

    assert decode_request(body, Encoding.JSON) == decode_request(
        generate(Encoding.JSON, prompt="\N{SLIGHTLY SMILING FACE}"), Encoding.JSON
    )


def test_json_that_is_cut_off_is_told_as_before() -> None:
    body = generate(Encoding.JSON, prompt="\N{SLIGHTLY SMILING FACE}")

    assert "the request is not JSON: Input data was truncated" in str(refused(body[:-5]).reason)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
FIELDS = sorted({name for struct in REQUEST_TYPES.values() for name in struct.__struct_fields__})


@given(
    st.sampled_from(list(REQUEST_TYPES)),
    st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=3),
    st.sampled_from(Encoding),
)
def test_any_value_in_any_field_gives_a_request_or_a_short_error(
    op: str, fields: dict[str, Any], encoding: Encoding
) -> None:
    body = ENCODERS[encoding](fields | {"op": op})

    error = outcome(body, encoding)

    assert not isinstance(error, Undecodable) or len(str(error.reason)) < 300
