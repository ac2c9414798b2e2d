import json
from typing import Any

import pytest

from devsynthd.upstream.answers import MAX_SAID_BYTES, Answer
from devsynthd.upstream.base import Delta, Ending
from devsynthd.upstream.tool_calls import MAX_CALLS
from devsynthd.wire.errors import ContextOverflow, UpstreamAuth, UpstreamError
from devsynthd.wire.objects import Usage
from devsynthd.wire.requests import FunctionCall, FunctionPart, ToolCall, ToolCallPart
from tests.support.upstream_replies import piece, usage


def _stream(*events: object) -> bytes:
    return b"".join(
        b"data: %b\n\n" % (event if isinstance(event, bytes) else json.dumps(event).encode())
        for event in events
    )


def _answer() -> Answer:
    return Answer(address="http://127.0.0.1:1234/v1", secrets=("hunter2",))


def _read(*events: object) -> tuple[list[Delta], Answer]:
    answer = _answer()
    return answer.feed(_stream(*events)), answer


END = (piece(finish_reason="stop"), usage(), b"[DONE]")


def test_an_answer_is_its_deltas_and_its_end() -> None:
    deltas, answer = _read(
        piece("", role="assistant"), piece("Hel", role="assistant"), piece("lo"), *END
    )

    assert deltas == [Delta("Hel"), Delta("lo")]
    assert answer.done
    assert answer.ending() == Ending(model="m", finish_reason="stop", usage=Usage(3, 2, 5))


def test_the_same_answer_wherever_it_is_cut() -> None:
    stream = _stream(piece("h\u00e9"), piece(reasoning="hm"), *END)
    expected, whole = [Delta("h\u00e9"), Delta("", "hm")], _answer()
    whole.feed(stream)
    for cut in range(len(stream) + 1):
        answer = _answer()
        assert answer.feed(stream[:cut]) + answer.feed(stream[cut:]) == expected
        assert answer.ending() == whole.ending()


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"choices": None},
        {"choices": []},
        {"choices": [{}]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {}}]},
        {"choices": [{"delta": {"content": None, "reasoning": None, "tool_calls": None}}]},
        {"choices": [{"delta": {"content": "", "tool_calls": []}, "finish_reason": None}]},
        {"choices": [], "usage": None, "error": None, "model": None},
        {"choices": "none", "model": 7},
        {"choices": ["none"]},
        {"choices": [{"delta": "none", "finish_reason": 7}]},
        {"choices": [{"delta": {"content": 7, "tool_calls": "none"}}]},
        {"type": "ping"},
        {"choices": [{"index": 1, "delta": {"content": "y"}, "finish_reason": "length"}]},
        {"choices": [{"index": "1", "text": 7, "delta": None, "message": None}]},
        {"content": "y"},
        {"content": "y", "stop": "no"},
        b"null",
        b"[]",
        b'"ping"',
        b"",
    ],
)
def test_events_that_add_nothing_are_passed_over(event: object) -> None:
    deltas, answer = _read(event, piece("x"), event, *END)

    assert deltas == [Delta("x")]
    assert answer.failure is None
    assert answer.ending().finish_reason == "stop"


def test_a_delta_that_adds_nothing_is_no_first_token() -> None:
    _, answer = _read(piece("", role="assistant"), {"choices": []})

    assert not answer.started


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_reasoning_has_two_names(field: str) -> None:
    deltas, answer = _read(piece(**{field: "hm"}))

    assert deltas == [Delta("", "hm")]
    assert answer.started


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 4}, Usage(1, 2, 4)),
        ({"prompt_tokens": 1, "completion_tokens": 2}, Usage(1, 2, 3)),
        ({"completion_tokens": 2, "total_tokens": 5, "other": {}}, Usage(3, 2, 5)),
        ({"prompt_tokens": 3, "total_tokens": 5}, Usage(3, 2, 5)),
        ({"prompt_tokens": 3}, Usage(3, 0, 3)),
        ({"prompt_tokens": 3.0, "completion_tokens": 2.0, "total_tokens": 5.0}, Usage(3, 2, 5)),
        ({"prompt_tokens": 3, "completion_tokens": 2.5, "total_tokens": 5}, Usage(3, 2, 5)),
        ({"prompt_tokens": -1, "completion_tokens": "2"}, None),
        ({"prompt_tokens": -1.0, "completion_tokens": 1e300}, None),
        ({"prompt_tokens": True}, None),
        ({"prompt_tokens": 2**31, "completion_tokens": 2**60}, None),
        ({"prompt_tokens": 5, "total_tokens": 10**400}, Usage(5, 0, 5)),
        ({"total_tokens": 5}, None),
        ({}, None),
        (7, None),
    ],
)
def test_usage_may_be_partial(told: object, expected: Usage | None) -> None:
    _, answer = _read(piece("x"), piece(finish_reason="stop"), {"usage": told})

    assert answer.ending().usage == expected


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        (["a", {"text": "b"}], "ab"),
        ([{"type": "image_url", "image_url": {"url": "x"}}, {"type": "text", "text": "a"}], "a"),
        ([None, 7, [], {"type": "text"}, {"type": "text", "text": None}, "a"], "a"),
        (["\ud83d", "\ud83d"], "\ufffd\ufffd"),
    ],
)
def test_a_text_may_come_in_parts(content: object, text: str) -> None:
    streamed, answer = _read({"choices": [{"delta": {"content": content}}]}, *END)
    whole = _answer().whole(_whole({"role": "assistant", "content": content}))

    assert [each.text for each in streamed] == [each.text for each in whole] == [text]
    assert answer.ending()


def test_parts_without_any_text_are_no_answer() -> None:
    _, answer = _read({"choices": [{"delta": {"content": [{"type": "image_url"}]}}]}, *END)

    assert not answer.started


def test_half_a_surrogate_pair_is_replaced() -> None:
    deltas, answer = _read(
        b'{"choices":[{"delta":{"content":"a\\ud83db","reasoning":"\\ude00"}}]}', *END
    )

    assert deltas == [Delta("a\ufffdb", "\ufffd")]
    assert answer.ending().model == "m"


def _call(index: int | None = None, **fields: object) -> dict[str, Any]:
    return piece(tool_calls=[{**({} if index is None else {"index": index}), **fields}])


def test_tool_calls_are_told_as_they_come_and_put_together() -> None:
    deltas, answer = _read(
        _call(0, id="814", type="function", function={"name": "weather", "arguments": ""}),
        _call(0, function={"arguments": '{"at":'}),
        _call(1, id="", function={"name": "time", "arguments": "{}"}),
        _call(0, function={"name": "", "arguments": '"Rome"}'}),
        piece(finish_reason="tool_calls"),
        b"[DONE]",
    )
    weather, time = answer.ending().tool_calls

    assert answer.started
    assert weather == ToolCall(id="814", function=FunctionCall("weather", '{"at":"Rome"}'))
    assert time.function == FunctionCall("time", "{}")
    assert [part for delta in deltas for part in delta.tool_calls] == [
        ToolCallPart(index=0, id="814", type="function", function=FunctionPart("weather", "")),
        ToolCallPart(index=0, function=FunctionPart(arguments='{"at":')),
        ToolCallPart(index=1, id=time.id, type="function", function=FunctionPart("time", "{}")),
        ToolCallPart(index=0, function=FunctionPart(arguments='"Rome"}')),
    ]


def test_a_text_and_calls_in_one_event_are_a_delta_each() -> None:
    part = {"index": 0, "id": "1", "function": {"name": "f", "arguments": "{}"}}
    deltas, _ = _read(piece("Let me see.", tool_calls=[part]))

    assert deltas == [
        Delta("Let me see."),
        Delta(
            tool_calls=(
                ToolCallPart(index=0, id="1", type="function", function=FunctionPart("f", "{}")),
            )
        ),
    ]


def test_tool_calls_without_numbers_begin_with_a_name() -> None:
    _, answer = _read(
        _call(function={"name": "a", "arguments": "{"}),
        _call(function={"arguments": "}"}),
        _call(function={"name": "b", "arguments": {"x": 1}}),
        piece(finish_reason="tool_calls"),
    )

    assert [call.function for call in answer.ending().tool_calls] == [
        FunctionCall("a", "{}"),
        FunctionCall("b", '{"x": 1}'),
    ]


ERROR_STREAMS = [
    _stream({"error": "Context size has been exceeded"}),
    _stream({"error": {"message": "Context size has been exceeded"}, "choices": []}),
    _stream({"object": "error", "message": "Context size has been exceeded"}),
    b'event: error\ndata: {"error":{"message":"Context size has been exceeded"}}\n\n',
    b'event: error\ndata: {"message":"Context size has been exceeded"}\n\n',
    b"event: error\ndata: Context size has been exceeded\n\n",
    b'error: {"code":400,"message":"Context size has been exceeded"}\n\n',
]


@pytest.mark.parametrize("stream", ERROR_STREAMS)
def test_an_error_in_the_stream_is_told_and_ends_it(stream: bytes) -> None:
    answer = _answer()
    deltas = answer.feed(_stream(piece("x")) + stream + _stream(piece("y"), *END))

    assert deltas == [Delta("x")]
    assert isinstance(answer.failure, ContextOverflow)


def test_an_error_without_any_words_is_an_error() -> None:
    answer = _answer()
    answer.feed(b"event: error\ndata: {}\n\n")

    assert isinstance(answer.failure, UpstreamError)


def test_a_refused_key_in_the_stream_is_one() -> None:
    _, answer = _read({"error": {"code": "invalid_api_key", "message": "hunter2"}})

    assert isinstance(answer.failure, UpstreamAuth)


def test_an_event_that_is_not_json_fails_the_answer() -> None:
    _, answer = _read(piece("x"), b'{"choices":[{"delta":{"content":"hunter2', piece("y"))

    assert isinstance(answer.failure, UpstreamError)
    assert "hunter2" not in str(answer.failure.details)


def test_a_huge_line_fails_the_answer() -> None:
    answer = _answer()
    answer.feed(b"data: " + b"x" * 2**20)

    assert isinstance(answer.failure, UpstreamError)


@pytest.mark.parametrize("events", [(), (piece("x"),), (piece("x"), usage())])
def test_without_an_end_it_is_cut_off(events: tuple[object, ...]) -> None:
    _, answer = _read(*events)

    with pytest.raises(UpstreamError, match="cut off"):
        answer.ending()


@pytest.mark.parametrize(
    "events", [(b"[DONE]",), (piece(finish_reason="stop"),), (usage(completion=2), b"[DONE]")]
)
def test_an_end_without_any_content_is_an_error(events: tuple[object, ...]) -> None:
    _, answer = _read(*events)

    with pytest.raises(UpstreamError, match="nothing at all") as caught:
        answer.ending()
    assert caught.value.hint is not None
    assert "context" in caught.value.hint


@pytest.mark.parametrize(
    "events",
    [
        (piece("x"), b"[DONE]"),
        (piece("x"), piece(finish_reason="length")),
        (piece(finish_reason="stop"), usage(completion=1)),
    ],
)
def test_what_counts_as_an_answer(events: tuple[object, ...]) -> None:
    _, answer = _read(*events)

    answer.ending()


def _whole(message: object, **fields: object) -> bytes:
    choice = {"message": message, "finish_reason": "stop"}
    return json.dumps({"model": "m", "choices": [choice], **fields}).encode()


def test_a_whole_completion_is_one_delta() -> None:
    answer = _answer()
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    deltas = answer.whole(
        _whole({"content": "hi", "reasoning": "hm", "tool_calls": []}, usage=usage)
    )

    assert deltas == [Delta("hi", "hm")]
    assert answer.ending() == Ending(model="m", finish_reason="stop", usage=Usage(1, 2, 3))


def test_a_whole_completion_may_be_calls_without_numbers() -> None:
    answer = _answer()
    calls = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for name in ("1", "2")
    ]
    deltas = answer.whole(_whole({"content": None, "tool_calls": calls}))

    assert [part.id for delta in deltas for part in delta.tool_calls] == ["1", "2"]
    assert answer.ending().tool_calls == (
        ToolCall(id="1", function=FunctionCall("f", "{}")),
        ToolCall(id="2", function=FunctionCall("f", "{}")),
    )


@pytest.mark.parametrize("body", [b'{"error":"no"}', b"{}", b"[]", b"", b'{"data":[]}', b"{"])
def test_json_that_is_no_completion_is_an_error(body: bytes) -> None:
    answer = _answer()
    answer.whole(body)

    assert isinstance(answer.failure, UpstreamError)


def _calls(*indexes: int) -> dict[str, Any]:
    return piece(tool_calls=[{"index": index} for index in indexes])


def test_more_calls_than_anybody_needs_fail_an_answer() -> None:
    _, answer = _read(_calls(*range(MAX_CALLS + 1)))

    assert "tool calls in its answer" in str(answer.failure)
    assert answer.failure
    assert answer.failure.hint

    whole = _answer()
    body = {"choices": [{"message": _calls(*range(MAX_CALLS + 1))["choices"][0]["delta"]}]}
    whole.whole(json.dumps(body).encode())
    assert "tool calls in its answer" in str(whole.failure)


@pytest.mark.parametrize(
    ("event", "char_bytes"),
    [
        (piece("\U0001f642" * 200_000), 4),
        (piece("\u00e9" + "x" * 199_999), 4),
        (piece(reasoning="x" * 200_000), 1),
        (piece(tool_calls=[{"index": 0, "function": {"arguments": "x" * 200_000}}]), 1),
        ({"choices": [{"text": "x" * 200_000}]}, 1),
    ],
)
def test_an_answer_has_a_greatest_length(event: dict[str, Any], char_bytes: int) -> None:
    answer = _answer()
    stream = b"data: %b\n\n" % json.dumps(event, ensure_ascii=False).encode()
    fed = 0
    while answer.failure is None:
        answer.feed(stream)
        fed += 1

    assert f"sent {fed * 200_000} characters in its answer" in str(answer.failure)
    assert fed == MAX_SAID_BYTES // (200_000 * char_bytes) + 1


@pytest.mark.parametrize("model", ["x" * 1025, "x" * 900_000])
def test_a_model_that_nobody_can_name_is_not_told(model: str) -> None:
    last = piece(finish_reason="stop", model=model)
    _, answer = _read(piece("x", model="m"), piece(model=model), last, usage(model=model))

    assert answer.ending().model == "m"
