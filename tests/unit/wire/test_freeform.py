"""Fields of any content: whatever JSON can say is passed on, all else is one clear error."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from devsynthd.wire.codec import Encoding, Undecodable, encode
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.freeform import SHAPES, value_of
from devsynthd.wire.limits import MAX_FREE_FORM_BYTES, MAX_FREE_FORM_DEPTH
from devsynthd.wire.requests import ABSENT, Generate
from tests.unit.wire.asking import ENCODERS, decoded, encodings, generate, outcome, refused

fields = pytest.mark.parametrize("field", SHAPES)
LEFT_BY_THE_INTERPRETER = 1000  # more maps inside each other than its stack has room for


def of_shape(field: str, content: object) -> object:
    return [content] if SHAPES[field] is list else {"a": content}


def nested(encoding: Encoding, depth: int) -> Raw:
    """Return *depth* lists inside each other."""
    if encoding is Encoding.JSON:
        return Raw(b"[" * depth + b"]" * depth)
    return Raw(b"\x91" * (depth - 1) + b"\x90")


def assert_refused(body: bytes, *said: str) -> None:
    error = refused(body)
    assert isinstance(error.reason, BadRequest)
    assert error.request_id == 3
    for words in said:
        assert words in str(error.reason)


@encodings
@fields
@pytest.mark.parametrize(
    "content", [{}, [], "déjà \0 \U0001f642", 1.5, -0.0, 2**64 - 1, True, None]
)
def test_what_json_can_say_is_passed_on(encoding: Encoding, field: str, content: object) -> None:
    value = of_shape(field, content)

    text = getattr(decoded(generate(encoding, **{field: value})), field)

    assert json.loads(bytes(text)) == value
    assert value_of(text) == value


@encodings
def test_all_of_them_go_together(encoding: Encoding) -> None:
    values = {name: of_shape(name, 1) for name in SHAPES}

    request = decoded(generate(encoding, **values))

    assert {name: value_of(getattr(request, name)) for name in SHAPES} == values
    assert (request.id, request.prompt) == (3, "x")


@encodings
@fields
def test_null_is_as_if_it_were_not_there(encoding: Encoding, field: str) -> None:
    assert decoded(generate(encoding, **{field: None})) == decoded(generate(encoding))
    assert value_of(getattr(decoded(generate(encoding)), field)) is None


@encodings
@fields
@pytest.mark.parametrize("value", [1, "text", True, 0.5])
def test_a_value_that_is_neither_map_nor_list_is_refused(
    encoding: Encoding, field: str, value: object
) -> None:
    assert_refused(generate(encoding, **{field: value}), f"`{field}` is not a ")


@encodings
@pytest.mark.parametrize(
    ("field", "value", "says"),
    [("tools", {}, "`tools` is not a list"), ("schema", [], "`schema` is not a map")],
)
def test_a_list_is_no_map(encoding: Encoding, field: str, value: object, says: str) -> None:
    assert_refused(generate(encoding, **{field: value}), says)


@encodings
@fields
def test_the_size_limit_is_exact(encoding: Encoding, field: str) -> None:
    encoder = ENCODERS[encoding]
    around = len(encoder(of_shape(field, "x" * 2**19))) - 2**19
    fits = encoder(of_shape(field, "x" * (MAX_FREE_FORM_BYTES - around)))
    over = encoder(of_shape(field, "x" * (MAX_FREE_FORM_BYTES - around + 1)))

    assert (len(fits), len(over)) == (MAX_FREE_FORM_BYTES, MAX_FREE_FORM_BYTES + 1)
    assert decoded(generate(encoding, **{field: Raw(fits)}))
    assert_refused(
        generate(encoding, **{field: Raw(over)}), f"`{field}` has {len(over)} bytes, the limit is"
    )


@encodings
def test_depth_has_a_limit_of_its_own(encoding: Encoding) -> None:
    deepest = nested(encoding, MAX_FREE_FORM_DEPTH)

    text = decoded(generate(encoding, tools=deepest)).tools

    assert bytes(text) == b"[" * MAX_FREE_FORM_DEPTH + b"]" * MAX_FREE_FORM_DEPTH
    assert value_of(text) is not None
    deeper = nested(encoding, MAX_FREE_FORM_DEPTH + 1)
    assert_refused(generate(encoding, tools=deeper), "`tools` is nested too deeply")


@encodings
@pytest.mark.parametrize("depth", [*range(800, LEFT_BY_THE_INTERPRETER), 100_000])
def test_any_depth_gets_an_error(encoding: Encoding, depth: int) -> None:
    assert "nested too deeply" in str(
        refused(generate(encoding, tools=nested(encoding, depth))).reason
    )


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        (b"\x81\xcd\x3b\xeb\xd0\x9c", '{"15339":-100}'),
        (b"\x81\xff\x01", '{"-1":1}'),
        (b"\x81\xcb\x3f\xf8\0\0\0\0\0\0\x01", '{"1.5":1}'),
        (b"\x81\xc3\x01", '{"true":1}'),
        (b"\x81\xc0\x01", '{"null":1}'),
    ],
)
def test_keys_of_messagepack_become_text(sent: bytes, passed_on: str) -> None:
    request = decoded(generate(Encoding.MSGPACK, logit_bias=Raw(sent)))

    assert bytes(request.logit_bias).decode() == passed_on


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"\x81\xa1a\xc4\x01a", id="bytes"),
        pytest.param(b"\x81\xc4\x01a\x01", id="bytes as a key"),
        pytest.param(b"\x81\xa1a\xcb\x7f\xf8\0\0\0\0\0\0", id="NaN"),
        pytest.param(b"\x81\xa1a\xca\x7f\x80\0\0", id="infinity"),
        pytest.param(b"\x81\xcb\x7f\xf8\0\0\0\0\0\0\x01", id="NaN as a key"),
        pytest.param(b"\x81\xa1a\xd6\xff\0\0\0\x01", id="time"),
        pytest.param(b"\x81\xd6\xff\0\0\0\x01\x01", id="time as a key"),
        pytest.param(b"\x81\xa1a\xd7\xff" + b"\xff" * 8, id="impossible time"),
        pytest.param(b"\x81\xa1a\xc7\x0c\xff\0\0\0\0\x7f" + b"\xff" * 7, id="far future"),
        pytest.param(b"\x81\xa1a\xd4\x05a", id="extension type"),
        pytest.param(b"\x81\xd4\x05a\x01", id="extension type as a key"),
        pytest.param(b"\x81\x80\x01", id="map as a key"),
        pytest.param(b"\x81\x91\x80\x01", id="map in a list as a key"),
        pytest.param(b"\x81\x90\x01", id="list as a key"),
        pytest.param(b"\x81\xa1a\xa1\xff", id="bad UTF-8"),
        pytest.param(b"\x81\xa1\xff\x01", id="bad UTF-8 in a key"),
        pytest.param(b"\x81\xa1a\xa3\xed\xa0\x80", id="half of a surrogate pair"),
    ],
)
def test_what_only_messagepack_can_say_is_refused(sent: bytes) -> None:
    assert_refused(generate(Encoding.MSGPACK, extra=Raw(sent)), "`extra` cannot be ")


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (b'{"a":"\xff"}', "`extra` cannot be read: text that is not UTF-8: 0xff at byte "),
        (b'{"\xff":1}', "`extra` cannot be read: text that is not UTF-8: 0xff at byte "),
        (b'{"a":1e999}', "`extra` cannot be read: Number out of range"),
        (b'{"a":' + b"1" * 5000 + b"}", "`extra` cannot be read: Integer value out of range"),
    ],
)
def test_json_that_cannot_be_read_is_refused(sent: bytes, says: str) -> None:
    error = refused(generate(Encoding.JSON, extra=Raw(sent)))

    assert str(error.reason).startswith(says)
    assert error.request_id == 3


@pytest.mark.parametrize(
    "sent", [b'{"a":NaN}', b'{"a":01}', b'{"a":"\x01"}', b'{"a":}', b"{'a':1}"]
)
def test_what_is_not_json_is_refused(sent: bytes) -> None:
    assert "not JSON" in str(refused(generate(Encoding.JSON, extra=Raw(sent))).reason)


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        (b'{ "a" : 1 ,\n"a":2 }', '{"a":2}'),
        (b'{"a":"\\ud83d\\ude42"}', '{"a":"\\ud83d\\ude42"}'),
        (b'{"a":"\xf0\x9f\x99\x82"}', '{"a":"\\ud83d\\ude42"}'),
        (b'{"a":"\\u0000"}', '{"a":"\\u0000"}'),
        (b'{"a":123456789012345678901234567890}', '{"a":123456789012345678901234567890}'),
        (b'{"a":1e2,"b":-0.0}', '{"a":100.0,"b":-0.0}'),
    ],
)
def test_json_is_passed_on_in_one_form(sent: bytes, passed_on: str) -> None:
    text = decoded(generate(Encoding.JSON, extra=Raw(sent))).extra

    assert bytes(text).decode() == passed_on


def test_of_keys_that_become_the_same_the_last_one_is_read() -> None:
    text = decoded(generate(Encoding.MSGPACK, extra=Raw(b"\x82\x01\x02\xa11\x03"))).extra

    assert value_of(text) == {"1": 3}


@encodings
def test_a_request_of_ours_comes_through(encoding: Encoding) -> None:
    bias = Raw(ENCODERS[encoding]({"5": 1}))

    body = encode(Generate(id=3, prompt="x", logit_bias=bias), encoding)

    assert decoded(body) == decoded(generate(encoding, logit_bias={"5": 1}))
    assert bytes(decoded(body).logit_bias) == b'{"5":1}'
    assert not any(name.encode() in body for name in SHAPES if name != "logit_bias")


def many(item: bytes) -> Raw:
    """Return a list of *item*, in MessagePack, as long as it may be."""
    count = (MAX_FREE_FORM_BYTES - 5) // len(item)
    return Raw(b"\xdd" + count.to_bytes(4, "big") + item * count)


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(b"\xc0", id="nulls"),
        pytest.param(b"\x80", id="maps"),
        pytest.param(b"\x81\x00" * (MAX_FREE_FORM_DEPTH - 2) + b"\x80", id="deep maps"),
        pytest.param(b"\xca\x3f\x80\x00\x01", id="numbers"),
    ],
)
def test_a_million_tiny_things_do_not_fill_the_memory(item: bytes) -> None:
    body = generate(Encoding.MSGPACK, tools=many(item))

    tracemalloc.start()
    request = decoded(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert bytes(request.tools).startswith(b"[")
    assert peak_bytes < 200e6


SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
ANYTHING = st.recursive(
    SCALARS | st.floats() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(SCALARS | st.binary(), inner),
    max_leaves=10,
)


@given(st.sampled_from(list(SHAPES)), ANYTHING)
def test_any_value_is_passed_on_as_json_or_refused(field: str, value: object) -> None:
    answer = outcome(generate(Encoding.MSGPACK, **{field: value}), Encoding.MSGPACK)

    if isinstance(answer, Undecodable):
        assert isinstance(answer.reason, BadRequest)
        assert answer.request_id == 3
    else:
        text = getattr(answer, field)
        assert text is ABSENT or isinstance(json.loads(bytes(text)), SHAPES[field])


@given(st.binary(max_size=60), st.sampled_from(Encoding))
def test_any_bytes_are_passed_on_as_json_or_refused(content: bytes, encoding: Encoding) -> None:
    body = generate(encoding, extra="@@").replace(ENCODERS[encoding]("@@"), content)

    answer = outcome(body, encoding)

    if isinstance(answer, Undecodable):
        assert isinstance(answer.reason, BadRequest)
    elif isinstance(answer, Generate):  # the bytes may have other fields in them
        assert answer.extra is ABSENT or isinstance(value_of(answer.extra), dict)
