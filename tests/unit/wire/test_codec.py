"""Bodies in, requests or clear errors out."""

import contextlib
import math
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthd.wire.codec import (
    Encoding,
    Undecodable,
    decode_reply,
    decode_request,
    encode,
    encoding_of,
    request_id,
)
from devsynthd.wire.errors import BadRequest, DevsynthError, ErrorCode, error_classes
from devsynthd.wire.limits import (
    MAX_BODY_BYTES,
    MAX_INPUTS,
    MAX_MESSAGES,
    MAX_SAFE_INTEGER,
    MAX_STOPS,
)
from devsynthd.wire.objects import ErrorInfo
from devsynthd.wire.replies import Chunk, Error, ReceivedResult, Result
from devsynthd.wire.requests import (
    REQUEST_TYPES,
    Embed,
    FunctionName,
    FunctionPart,
    Generate,
    List,
    Ping,
    ToolCallPart,
    ToolChoice,
)
from devsynthd.wire.results import RESULT_TYPES, CancelOutcome
from tests.unit.wire.asking import ENCODERS, encodings, refused


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"{}", Encoding.JSON),
        (b" \r\n\t{}", Encoding.JSON),
        (b" " * 1000 + b"{}", Encoding.JSON),
        (b"[]", Encoding.MSGPACK),
        (b"", Encoding.MSGPACK),
        (b"\x80", Encoding.MSGPACK),
    ],
)
def test_first_byte_after_white_space_tells_the_encoding(body: bytes, expected: Encoding) -> None:
    assert encoding_of(body) is expected


@encodings
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"op": "ping", "id": "a"}, Ping(id="a")),
        ({"op": "list", "id": 1, "max_age": 2, "since": 16.0}, List(id=1, max_age=2, since=16)),
        ({"op": "generate", "id": 1, "prompt": "hi"}, Generate(id=1, prompt="hi")),
        (
            {"op": "generate", "id": -5, "prompt": "hi", "max_tokens": 16.0},
            Generate(id=-5, prompt="hi", max_tokens=16),
        ),
        ({"op": "embed", "id": 1, "input": "hi"}, Embed(id=1, input="hi")),
        (
            {"op": "embed", "id": 1, "input": ["a", "b"], "model": "m", "timeout": 5},
            Embed(id=1, input=["a", "b"], model="m", timeout=5),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "", "raw": True, "suffix": "}"},
            Generate(id=1, prompt="", raw=True, suffix="}"),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "x", "top_p": 0.5, "top_k": -1, "min_p": 1},
            Generate(id=1, prompt="x", top_p=0.5, top_k=-1, min_p=1),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "x", "stop": "a", "seed": -MAX_SAFE_INTEGER},
            Generate(id=1, prompt="x", stop="a", seed=-MAX_SAFE_INTEGER),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "x", "stop": ["a"] * MAX_STOPS, "ttl": 60},
            Generate(id=1, prompt="x", stop=["a"] * MAX_STOPS, ttl=60),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "x", "tool_choice": "required"},
            Generate(id=1, prompt="x", tool_choice="required"),
        ),
        (
            {
                "op": "generate",
                "id": 1,
                "prompt": "x",
                "tool_choice": {"type": "function", "function": {"name": "f", "strict": True}},
            },
            Generate(id=1, prompt="x", tool_choice=ToolChoice(function=FunctionName("f"))),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "x", "repeat_penalty": 1.1}
            | {"presence_penalty": -2, "frequency_penalty": 2},
            Generate(
                id=1, prompt="x", repeat_penalty=1.1, presence_penalty=-2, frequency_penalty=2
            ),
        ),
        (
            {"op": "generate", "id": 1, "prompt": "x", "progress": True, "background": True},
            Generate(id=1, prompt="x", progress=True, background=True),
        ),
    ],
)
def test_requests_are_read_in_both_encodings(
    encoding: Encoding, fields: dict[str, Any], expected: object
) -> None:
    assert decode_request(ENCODERS[encoding](fields), encoding) == expected


@encodings
@pytest.mark.parametrize(
    ("op", "field"),
    [
        ("generate", "max_tokens"),
        ("generate", "top_k"),
        ("generate", "seed"),
        ("generate", "ttl"),
        ("list", "since"),
        ("cancel", "request"),
        ("cancel", "target"),
        ("load", "context_length"),
        ("ping", "v"),
        ("embed", "v"),
    ],
)
def test_integral_floats_are_taken_for_integers(encoding: Encoding, op: str, field: str) -> None:
    fields = {"op": op, "id": 1, "model": "m"} if op == "load" else {"op": op, "id": 1}
    fields |= {"input": "x"} if op == "embed" else {}

    from_float = decode_request(ENCODERS[encoding](fields | {field: 1.0}), encoding)

    assert from_float == decode_request(ENCODERS[encoding](fields | {field: 1}), encoding)
    assert getattr(from_float, field) == 1
    assert field in str(refused(ENCODERS[encoding](fields | {field: 1.5})).reason) or field == "v"


@encodings
def test_an_integral_float_is_an_integer_id(encoding: Encoding) -> None:
    request = decode_request(ENCODERS[encoding]({"op": "ping", "id": 7.0}), encoding)

    known = request_id(request)

    assert (known, type(known)) == (7, int)


@encodings
@pytest.mark.parametrize(
    ("fields", "known_id", "said"),
    [
        ({"id": "x"}, "x", "no `op`"),
        ({"id": "x", "op": 5}, "x", "not a string"),
        ({"id": 3, "op": "lst"}, 3, "unknown op `lst`"),
        ({"id": 3, "op": "list", "refrsh": True}, 3, "unknown field `refrsh` in `list`"),
        ({"id": 3, "op": "list", "refresh": "yes"}, 3, "refresh"),
        ({"id": 3, "op": "list", "since": 1.5}, 3, "since"),
        ({"id": 3, "op": "generate", "temperature": 2.1}, 3, "temperature"),
        ({"id": 3, "op": "generate", "messages": [{"content": "x"}]}, 3, "role"),
        ({"id": 3, "op": "ping", "timeout": 0}, 3, "timeout"),
        ({"id": 3, "op": "embed"}, 3, "input"),
        ({"id": 3, "op": "embed", "input": [""]}, 3, "input[0]"),
        ({"id": 3, "op": "embed", "input": "x", "prompt": "x"}, 3, "unknown field `prompt`"),
        ({"id": 3, "op": "generate", "input": "x"}, 3, "unknown field `input`"),
        ({"id": 3, "op": {}}, 3, "not a string"),
        ({"id": 3, "op": "x" * 2000}, 3, "not a string"),
        ({"op": "ping"}, None, "id"),
        ({"id": "", "op": "ping"}, None, "id"),
        ({"id": "x" * 129, "op": "ping"}, None, "id"),
        ({"id": MAX_SAFE_INTEGER + 1, "op": "ping"}, None, "id"),
        ({"id": 1.5, "op": "ping"}, None, "id"),
        ({"id": [1], "op": "ping"}, None, "id"),
    ],
)
def test_what_is_wrong_is_named(
    encoding: Encoding, fields: dict[str, Any], known_id: object, said: str
) -> None:
    error = refused(ENCODERS[encoding](fields))

    assert isinstance(error.reason, BadRequest)
    assert said in str(error.reason)
    assert error.request_id == known_id


@pytest.mark.parametrize("body", [b"\x82\xa2op\xa2\xff\xff\xa2id\x03", b'{"op":"\xff","id":3}'])
def test_an_op_that_cannot_be_read_is_no_string(body: bytes) -> None:
    error = refused(body)

    assert "`op` is not a string" in str(error.reason)
    assert error.request_id == 3


@pytest.mark.parametrize(
    ("name", "hint"), [("lst", "`list`"), ("generat", "`generate`"), ("xyzzy", "ping, status")]
)
def test_the_nearest_op_is_offered(name: str, hint: str) -> None:
    assert hint in (refused(msgspec.json.encode({"id": 1, "op": name})).reason.hint or "")


def test_the_nearest_field_is_offered() -> None:
    body = msgspec.json.encode({"id": 1, "op": "generate", "promt": "hi"})

    assert refused(body).reason.hint == "did you mean `prompt`?"


@pytest.mark.parametrize("version", [0, 2, "1", None, 1.5])
def test_the_version_is_looked_at_before_anything_else(version: object) -> None:
    body = msgspec.json.encode({"v": version, "id": 9, "op": "from the future", "x": 1})

    error = refused(body)

    assert error.reason.code is ErrorCode.UNSUPPORTED_VERSION
    assert error.request_id == 9


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["timeout", "temperature", "wait", "max_tokens"])
def test_numbers_that_are_none_are_refused(field: str, value: float) -> None:
    body = msgspec.msgpack.encode({"op": "generate", "id": 1, "prompt": "hi", field: value})

    assert field in str(refused(body).reason)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"[]",
        b"null",
        b'"text"',
        b"{",
        b"{" * 100_000,
        b"\x91" * 100_000,
        b"\x81\xa1a" * 100_000,
        b'{"op":"ping","id":1,"x":' + b"[" * 100_000,
        b'{"op":"generate","id":1,"messages":' + b"[" * 100_000,
        b'{"op": "ping", "id": "\xff"}',
    ],
)
def test_what_is_no_map_gets_a_clear_error(body: bytes) -> None:
    error = refused(body)

    assert isinstance(error.reason, BadRequest)
    assert error.request_id is None


def test_the_size_limit_is_exact() -> None:
    frame = msgspec.json.encode({"op": "generate", "id": 1, "prompt": ""})
    fits = frame.replace(b'""', b'"' + b"x" * (MAX_BODY_BYTES - len(frame)) + b'"')

    assert len(fits) == MAX_BODY_BYTES
    assert isinstance(decode_request(fits, Encoding.JSON), Generate)
    assert str(MAX_BODY_BYTES) in str(refused(fits + b" ").reason)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_request_or_an_error(body: bytes) -> None:
    # Any other exception fails the test.
    with contextlib.suppress(Undecodable):
        assert request_id(decode_request(body, encoding_of(body))) is not None


@encodings
def test_chunks_carry_only_what_they_have(encoding: Encoding) -> None:
    expected = {"type": "chunk", "id": 1, "seq": 0, "text": "a"}

    assert encode(Chunk(id=1, seq=0, text="a"), encoding) == ENCODERS[encoding](expected)


def test_replies_come_back_as_they_were_sent() -> None:
    chunk = Chunk(id="x", seq=3, text="déjà", reasoning="vu")
    error = Error(id=None, error=ErrorInfo(code="internal", message="m", details={"a": [1]}))

    assert decode_reply(encode(chunk)) == chunk
    calls = (ToolCallPart(index=0, id="c", function=FunctionPart(name="f")),)
    piece = Chunk(id="x", seq=4, tool_calls=calls)

    assert decode_reply(encode(error)) == error
    assert decode_reply(encode(piece)) == piece
    result = decode_reply(encode(Result(id=1, result=CancelOutcome(cancelled=True))))
    assert isinstance(result, ReceivedResult)
    assert msgspec.msgpack.decode(result.result, type=CancelOutcome).cancelled


def test_a_client_skips_reply_fields_that_it_does_not_know() -> None:
    body = msgspec.msgpack.encode({"type": "chunk", "id": 1, "seq": 0, "text": "a", "new": [1]})

    assert decode_reply(body) == Chunk(id=1, seq=0, text="a")


def test_every_code_has_one_class_and_every_op_a_result() -> None:
    assert set(error_classes()) == set(ErrorCode)
    told = [cls for cls in DevsynthError.__subclasses__() if isinstance(cls.code, ErrorCode)]
    assert len(told) == len(ErrorCode)
    assert set(RESULT_TYPES) == set(REQUEST_TYPES) - {"subscribe"}  # it only ends by an error


@encodings
def test_too_many_messages_are_refused(encoding: Encoding) -> None:
    message = {"role": "user", "content": "x"}
    fields = {"op": "generate", "id": 1, "messages": [message] * MAX_MESSAGES}

    assert isinstance(decode_request(ENCODERS[encoding](fields), encoding), Generate)
    fields["messages"] = [message] * (2 * MAX_MESSAGES + 1)
    assert str(MAX_MESSAGES) in str(refused(ENCODERS[encoding](fields)).reason)


@encodings
@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"op": "embed", "id": 1, "input": ["x"] * 2**22}, MAX_INPUTS),
        ({"op": "generate", "id": 1, "prompt": "x", "stop": ["x"] * 2**22}, MAX_STOPS),
        ({"op": "generate", "id": 1, "messages": [{"role": "x"}] * 2**20}, MAX_MESSAGES),
    ],
)
def test_millions_of_texts_are_refused_before_they_are_built(
    encoding: Encoding, fields: dict[str, Any], limit: int
) -> None:
    body = ENCODERS[encoding](fields)

    tracemalloc.start()
    error = refused(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert str(limit) in str(error.reason)
    assert peak_bytes < 2**20


@encodings
def test_texts_full_of_quotes_and_commas_are_not_mistaken_for_many(encoding: Encoding) -> None:
    texts = ['a","b' * 1000, '",'] * (MAX_INPUTS // 2)
    body = ENCODERS[encoding]({"op": "embed", "id": 1, "input": texts})

    assert decode_request(body, encoding) == Embed(id=1, input=texts)


def test_a_large_request_for_vectors_that_is_damaged_is_told_why() -> None:
    body = msgspec.json.encode({"op": "embed", "id": 1, "input": "x" * 2**20})

    assert "truncated" in str(refused(body[:-2]).reason)


@encodings
def test_the_text_of_a_message_is_not_mistaken_for_messages(encoding: Encoding) -> None:
    body = ENCODERS[encoding]({"op": "generate", "id": 1, "prompt": '"role":' * 3 * MAX_MESSAGES})

    assert isinstance(decode_request(body, encoding), Generate)


@encodings
def test_what_stands_for_an_id_is_not_built_when_it_is_huge(encoding: Encoding) -> None:
    body = ENCODERS[encoding]({"op": "ping", "id": [{}] * 2**20})

    tracemalloc.start()
    error = refused(body)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert error.request_id is None
    assert peak_bytes < 2**20


@encodings
def test_what_is_cut_off_is_told_as_that_and_not_quoted(encoding: Encoding) -> None:
    """A long op came back as a whole, as text of the error, where more of the body was missing."""
    whole = ENCODERS[encoding]({"op": "x" * 2**20, "id": 1})

    said = str(refused(whole[:-1]).reason)

    assert said.startswith("the request is not ")
    assert len(said) < 200


@pytest.mark.parametrize("field", ["input", "stop", "messages"])
def test_too_many_texts_or_messages_are_refused_to_the_id_of_their_request(field: str) -> None:
    items = [{"role": "user"}] if field == "messages" else ["x"]
    op = "embed" if field == "input" else "generate"
    fields = {"op": op, "id": "mine", "prompt": "x", field: items * 100_000}

    refusal = refused(msgspec.json.encode(fields))

    assert "the request has more than" in str(refusal.reason)
    assert refusal.request_id == "mine"
