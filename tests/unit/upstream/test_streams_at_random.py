"""Streams that nobody would write: any events, ends of lines and cuts, and mere noise."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Delta
from devsynthd.upstream.events import Event, EventParser, LineTooLong

LINE_ENDS = (b"\n", b"\r", b"\r\n")
BOM = b"\xef\xbb\xbf"
PATIENTLY = settings(deadline=None)  # a busy machine is no fault


# A slow parser, by the book ------------------------------------------------------------------


def lines_of(stream: bytes) -> list[bytes]:
    """Return the lines of *stream* that have an end, byte by byte."""
    lines, line, position = [], b"", 0
    while position < len(stream):
        end = next(
            (end for end in (b"\r\n", b"\r", b"\n") if stream[position:].startswith(end)), b""
        )
        if end:
            lines.append(line)
            line = b""
        else:
            line += stream[position : position + 1]
        position += len(end) or 1
    return lines


def events_of(stream: bytes) -> list[Event]:
    """Return the events of *stream* as WHATWG's text says, and those of lines ``error: ...``."""
    events, data, event_type = [], b"", b""
    for line in lines_of(stream.removeprefix(BOM)):
        if line == b"":
            if data:
                events.append(Event(event_type, data[:-1]))  # without the last line feed
            data, event_type = b"", b""
        elif line.startswith(b":"):
            continue
        elif b":" in line:
            position = line.index(b":")
            field, value = line[:position], line[position + 1 :]
            if value.startswith(b" "):
                value = value[1:]
            if field == b"error":
                events.append(Event(b"error", value))
            data, event_type = _processed(field, value, data, event_type)
        else:
            data, event_type = _processed(line, b"", data, event_type)
            if line == b"error":
                events.append(Event(b"error", b""))
    return events


def _processed(field: bytes, value: bytes, data: bytes, event_type: bytes) -> tuple[bytes, bytes]:
    if field == b"event":
        return data, value
    if field == b"data":
        return data + value + b"\n", event_type
    return data, event_type  # id, retry, and what nobody knows


# Streams -------------------------------------------------------------------------------------

_VALUES = st.sampled_from(
    ["", " ", "x", "  x", ":", "a: b", "{}", "[DONE]", "h\u00e9", "\u2028", "\U0001f600", "\ufeff"]
).map(str.encode) | st.text(st.characters(exclude_characters="\r\n", codec="utf-8")).map(str.encode)
_FIELDS = st.sampled_from([b"data", b"event", b"error", b"id", b"retry", b"", b" data", b"Data"])
_LINES = st.one_of(
    st.just(b""),  # the end of an event
    st.tuples(_FIELDS, st.sampled_from([b":", b": ", b""]), _VALUES).map(b"".join),
)
_STREAMS = st.tuples(
    st.sampled_from([b"", BOM, BOM + BOM]),
    st.lists(st.tuples(_LINES, st.sampled_from(LINE_ENDS)).map(b"".join)).map(b"".join),
    _VALUES,  # a line that never ends
).map(b"".join)
_CUTS = st.lists(st.integers(0, 400))


def cut_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    """Return *stream* in pieces, some of them empty perhaps."""
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


@given(_STREAMS, _CUTS)
@PATIENTLY
@example(b"data: x\r\n\r\n", [8, 8, 9, 10])
@example(BOM + b"data: x\n\n", [1, 2])
@example(b"\n" + BOM + b"data: x\n\n", [])
def test_events_are_those_of_the_book_wherever_they_are_cut(stream: bytes, cuts: list[int]) -> None:
    parser = EventParser()
    events = [event for part in cut_at(stream, cuts) for event in parser.feed(part)]

    assert events == events_of(stream)


@given(st.binary(), _CUTS)
@PATIENTLY
def test_noise_has_the_events_of_the_book_too(stream: bytes, cuts: list[int]) -> None:
    parser = EventParser()
    events = [event for part in cut_at(stream, cuts) for event in parser.feed(part)]

    assert events == events_of(stream)


@given(_STREAMS, _CUTS, st.integers(1, 20))
@PATIENTLY
@example(BOM + b"data: 1234\n\n", [12], 10)
def test_the_first_line_over_the_limit_ends_a_stream_wherever_it_is_cut(
    stream: bytes, cuts: list[int], limit: int
) -> None:
    lines = lines_of(stream + b"\n")
    long = next((number for number, line in enumerate(lines) if len(line) > limit), None)
    parser, events = EventParser(max_line_bytes=limit), []
    was_too_long = False
    try:
        for part in cut_at(stream, cuts):
            events += list(parser.feed(part))
    except LineTooLong:
        was_too_long = True

    assert was_too_long == (long is not None)
    if long is None:
        assert events == events_of(stream)


# Answers -------------------------------------------------------------------------------------

_TEXTS = st.text(max_size=8)
_FRAGMENTS = st.fixed_dictionaries(
    {"index": st.integers(0, 2)},
    optional={
        "id": st.sampled_from(["", "x"]) | st.none(),
        "function": st.fixed_dictionaries(
            {}, optional={"arguments": _TEXTS, "name": st.sampled_from(["", "f"]) | st.none()}
        ),
    },
)
_DELTAS = st.fixed_dictionaries(
    {},
    optional={
        "role": st.just("assistant"),
        "content": _TEXTS | st.none(),
        "reasoning_content": _TEXTS | st.none(),
        "tool_calls": st.lists(_FRAGMENTS, max_size=2) | st.none(),
    },
)


def _stream(deltas: list[dict[str, Any]], line_end: bytes) -> bytes:
    values = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    values.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    texts = [json.dumps(value).encode() for value in values] + [b"[DONE]"]
    return b"".join(b"data: " + text + 2 * line_end for text in texts)


def _read(answer: Answer, stream: bytes, cuts: list[int]) -> list[Delta]:
    return [delta for part in cut_at(stream, cuts) for delta in answer.feed(part)]


@given(st.lists(_DELTAS), st.sampled_from(LINE_ENDS), _CUTS)
@PATIENTLY
def test_an_answer_gives_back_what_was_said(
    said: list[dict[str, Any]], line_end: bytes, cuts: list[int]
) -> None:
    fragments = [part for delta in said for part in delta.get("tool_calls") or ()]
    assume(fragments or any(delta.get("content") for delta in said))
    answer = Answer(address="here")
    deltas = _read(answer, _stream(said, line_end), cuts)

    assert answer.failure is None
    assert answer.done
    assert "".join(delta.text for delta in deltas) == _joined(said, "content")
    assert "".join(delta.reasoning for delta in deltas) == _joined(said, "reasoning_content")
    assert all(delta != Delta() for delta in deltas)
    order = list(dict.fromkeys(part["index"] for part in fragments))
    assert [
        (call.function.name, call.function.arguments) for call in answer.ending().tool_calls
    ] == [(_name(fragments, index), _arguments(fragments, index)) for index in order]


def _joined(said: list[dict[str, Any]], field: str) -> str:
    return "".join(delta.get(field) or "" for delta in said)


def _name(fragments: list[dict[str, Any]], index: int) -> str:
    names = [part.get("function", {}).get("name") for part in fragments if part["index"] == index]
    return next((name for name in names if name), "")


def _arguments(fragments: list[dict[str, Any]], index: int) -> str:
    mine = [part for part in fragments if part["index"] == index]
    return "".join(part.get("function", {}).get("arguments") or "" for part in mine)


_KEYS = [
    *("choices", "delta", "message", "content", "text", "reasoning", "tool_calls", "function"),
    *("index", "id", "name", "arguments", "finish_reason", "model", "usage", "prompt_tokens"),
    *("error", "object", "stop", "stop_type", "tokens_predicted"),
]
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(
            st.sampled_from(_KEYS),
            children,
            max_size=5,
        )
    ),
    max_leaves=20,
)
_ODD = st.one_of(
    st.binary(),
    _JSON.map(lambda value: json.dumps(value).encode()),
    st.integers(1, 5000).map(lambda depth: b"[" * depth + b"]" * depth),
    st.integers(1, 5000).map(lambda depth: b'{"error":' * depth + b"1" + b"}" * depth),
    st.just(b'{"usage":{"prompt_tokens":' + b"9" * 5000 + b"}}"),
)
_ODD_EVENTS = st.tuples(st.sampled_from([b"data: ", b"event: error\ndata: ", b"error: "]), _ODD)


@given(st.lists(_ODD_EVENTS.map(b"".join)), _CUTS)
@settings(max_examples=300, deadline=None)
def test_nothing_that_comes_raises(events: list[bytes], cuts: list[int]) -> None:
    answer = Answer(address="here")
    deltas = _read(answer, b"\n\n".join(events) + b"\n\n", cuts)

    assert all(delta != Delta() for delta in deltas)
    assert answer.started == bool(deltas)


@given(_ODD)
@settings(max_examples=300, deadline=None)
def test_no_whole_body_raises(body: bytes) -> None:
    answer = Answer(address="here")
    answer.whole(body)

    assert answer.failure is not None or answer.started or answer.finished


@pytest.mark.parametrize(
    "nested",
    [
        (b'{"error":', b"{}", b"}"),
        (b'{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":{"a":', b"0", b"}}}]}}]}"),
    ],
    ids=["an error", "arguments"],
)
def test_no_depth_raises(nested: tuple[bytes, bytes, bytes]) -> None:
    """Reading and writing JSON give up at depths that are not the same."""
    start, middle, end = nested
    for depth in range(1, 1100):
        answer = Answer(address="here")
        body = start + b"[" * depth + middle + b"]" * depth + end
        answer.whole(body)

        assert answer.failure is not None or answer.started
