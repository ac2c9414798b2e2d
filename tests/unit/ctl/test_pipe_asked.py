"""What a line asks for, and what the pipe adds to it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.pipe.asked import Asked, read_line, same_id
from devsynthctl.pipe.lines import Line
from devsynthd.wire.codec import Encoding, decode_request
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import Ping

CLIENT = "tests/1"
NOW = 1_700_000_000.25


def read(text: bytes | str, timeout_s: float | None = None) -> Asked:
    return read_line(Line(7, text.encode() if isinstance(text, str) else text), CLIENT, timeout_s)


def refused(text: bytes) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        read(text)
    return caught.value


def sent(text: str, timeout_s: float | None = None) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(read(text, timeout_s).body_at(NOW))
    return body


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"ping", "is not JSON"),
        (b'{"id": 1', "is not JSON"),
        (b'{"id": 1} {"id": 2}', "is not JSON"),
        (b"\xff\xfe{\x00", "is not JSON"),
        (b'{"id": 1, "x": "\\ud800"}', "is not JSON"),
        (b"[]", "is not a JSON object"),
        (b"1", "is not a JSON object"),
        (b"null", "is not a JSON object"),
        (b'{"op": "ping"}', "has no `id`"),
        (b"{}", "has no `id`"),
        (b'{"id": null}', "cannot be one"),
        (b'{"id": ""}', "cannot be one"),
        (b'{"id": 1.5}', "cannot be one"),
        (b'{"id": 1e400}', "cannot be one"),
        (b'{"id": 9007199254740992}', "cannot be one"),
        (b'{"id": true}', "cannot be one"),
        (b'{"id": [1]}', "cannot be one"),
        (b'{"id": "\xff"}', "cannot be one"),
        (b'{"id": "%s"}' % (b"x" * 129), "cannot be one"),
        (b'{"id": 1, "x": %s}' % (b"[" * 100_000 + b"]" * 100_000), "is nested too deeply"),
    ],
)
def test_what_cannot_be_answered_by_its_id_is_refused_by_its_line(text: bytes, part: str) -> None:
    error = refused(text)

    assert str(error).startswith("line 7 ")
    assert part in str(error)
    assert error.hint
    assert error.details == {"line": 7}


def test_a_line_that_was_too_long_is_refused() -> None:
    with pytest.raises(BadRequest, match=f"line 3 is longer than {MAX_BODY_BYTES} bytes"):
        read_line(Line(3, None), CLIENT, None)


def test_a_second_one_of_the_same_id_is_told_with_it() -> None:
    error = same_id(Line(4, b"{}"), "a")

    assert error.details == {"line": 4, "id": "a"}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1", 1),
        ("1.0", 1),
        ("1e2", 100),
        ("-5", -5),
        ('"a"', "a"),
        ('"\\u0061"', "a"),
        ("9007199254740991", 2**53 - 1),
    ],
)
def test_an_id_is_read_as_the_daemon_reads_it(text: str, found: object) -> None:
    asked = read(f'{{"op": "ping", "id": {text}}}')

    assert (asked.id, type(asked.id)) == (found, type(found))


@pytest.mark.parametrize(
    ("fields", "timeout_s", "added"),
    [
        ({}, None, {"client": CLIENT}),
        ({}, 2.5, {"client": CLIENT, "timeout": 2.5, "sent": NOW}),
        ({"timeout": 5}, None, {"client": CLIENT, "sent": NOW}),
        ({"timeout": 5}, 2.5, {"client": CLIENT, "sent": NOW}),
        ({"timeout": 5, "sent": 1}, None, {"client": CLIENT}),
        ({"timeout": None}, 2.5, {"client": CLIENT}),
        ({"timeout": "5"}, 2.5, {"client": CLIENT}),
        ({"client": "mine/1"}, None, {}),
        ({"client": None}, None, {}),
    ],
)
def test_only_what_is_missing_is_filled_in(
    fields: dict[str, Any], timeout_s: float | None, added: dict[str, Any]
) -> None:
    line = {"op": "ping", "id": 1, **fields}

    assert sent(json.dumps(line), timeout_s) == line | added


@pytest.mark.parametrize(
    "rest",
    [
        '"seed": 1e400',
        '"seed": 123456789012345678901234567890',
        '"x": 1.10',
        '"extra": {"a":  [1.0, 1E5 ,-0.0]}',
        '"prompt": "\\u00e9\\ud83d\\ude00 \\/"',
        '"op": "ping", "op": "list"',
    ],
)
def test_the_rest_of_the_line_goes_through_unchanged(rest: str) -> None:
    line = f'{{"id": 1, {rest} }}'

    body = read(line).body_at(NOW).decode()

    assert body.endswith(line.removeprefix("{"))
    assert body.removesuffix(line.removeprefix("{")) == f'{{"client":"{CLIENT}",'


def test_what_is_added_is_taken_by_the_daemon() -> None:
    body = read('{"op": "ping", "id": 1}', 1e9).body_at(NOW)

    assert decode_request(body, Encoding.JSON) == Ping(id=1, client=CLIENT, timeout=1e9, sent=NOW)


def filled_up(size: int, start: bytes = b'{"op": "generate", "id": 1, "prompt": "') -> bytes:
    return start + b"x" * (size - len(start) - 2) + b'"}'


@pytest.mark.parametrize("left", [0, 1, 10, 18, 19, 20, 100])
def test_a_line_at_the_limit_stays_within_it(left: int) -> None:
    line = filled_up(MAX_BODY_BYTES - left)

    assert len(read(line).body_at(NOW)) <= MAX_BODY_BYTES


@pytest.mark.parametrize("left", [0, 30])
def test_a_line_with_no_room_for_its_timeout_is_refused(left: int) -> None:
    with pytest.raises(BadRequest, match="too long to be given a `timeout`"):
        read_line(Line(1, filled_up(MAX_BODY_BYTES - left)), CLIENT, 5)


@pytest.mark.parametrize(
    ("op", "is_generating", "is_repeatable", "may_be_refused"),
    [
        ("ping", False, True, True),
        ("status", False, True, True),
        ("list", False, True, True),
        ("config_get", False, True, True),
        ("config_set", False, False, True),
        ("generate", True, False, True),
        ("embed", True, False, True),
        ("load", False, False, True),
        ("subscribe", False, False, True),
        ("cancel", False, False, False),
        ("shutdown", False, False, False),
        ("pong", False, False, True),
    ],
)
def test_an_op_tells_what_may_be_done_with_it(
    op: str,
    *,
    is_generating: bool,
    is_repeatable: bool,
    may_be_refused: bool,
) -> None:
    asked = read(json.dumps({"op": op, "id": 1}))

    assert asked.op == op
    assert asked.is_generating is is_generating
    assert asked.is_repeatable is is_repeatable
    assert asked.may_be_refused is may_be_refused


@pytest.mark.parametrize(
    ("target", "found"), [("1.0", 1), ('"a"', "a"), ("null", None), ("[]", None)]
)
def test_a_cancel_tells_its_target(target: str, found: object) -> None:
    assert read(f'{{"op": "cancel", "id": 2, "target": {target}}}').target == found


@given(st.binary(max_size=64))
def test_random_bytes_are_read_or_refused(text: bytes) -> None:
    try:
        asked = read(text)
    except BadRequest:
        return
    json.loads(asked.body_at(NOW))
