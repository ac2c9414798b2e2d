"""What clients are told of tool calls, whatever the server numbers and names."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devsynthd.upstream.completions import CallPart, Function
from devsynthd.upstream.tool_calls import MAX_CALLS, ToolCalls, TooManyCalls
from devsynthd.wire.requests import FunctionCall, FunctionPart, ToolCall, ToolCallPart


def _part(
    index: int | None, id: str | None = None, name: str | None = None, text: str | None = None
) -> CallPart:
    return CallPart(index=index, id=id, function=Function(name, text))


def _told(*parts: CallPart) -> tuple[list[ToolCallPart], tuple[ToolCall, ...]]:
    calls = ToolCalls()
    told = [fragment for part in parts if (fragment := calls.add(part)) is not None]
    return told, calls.whole()


def _joined(told: list[ToolCallPart]) -> tuple[ToolCall, ...]:
    """Return what a client makes of fragments, by the book."""
    calls: list[dict[str, str]] = []
    for part in told:
        if part.index == len(calls):
            assert part.id
            assert part.type == "function"
            calls.append({"id": part.id, "name": "", "arguments": ""})
        else:
            assert part.index < len(calls)
            assert (part.id, part.type) == (None, None)
        call = calls[part.index]
        call["name"] += part.function.name or ""
        call["arguments"] += part.function.arguments
    return tuple(
        ToolCall(id=call["id"], function=FunctionCall(call["name"], call["arguments"]))
        for call in calls
    )


def test_calls_are_numbered_as_they_begin() -> None:
    told, whole = _told(
        _part(7, "a", "f", ""), _part(3, "b", "g", "{"), _part(7, text="{}"), _part(3, text="}")
    )

    assert told == [
        ToolCallPart(index=0, id="a", type="function", function=FunctionPart("f", "")),
        ToolCallPart(index=1, id="b", type="function", function=FunctionPart("g", "{")),
        ToolCallPart(index=0, function=FunctionPart(arguments="{}")),
        ToolCallPart(index=1, function=FunctionPart(arguments="}")),
    ]
    assert whole == (
        ToolCall(id="a", function=FunctionCall("f", "{}")),
        ToolCall(id="b", function=FunctionCall("g", "{}")),
    )


def test_ids_that_are_missing_are_made_up_and_never_twice() -> None:
    parts = [_part(number, id, "f", "{}") for number, id in enumerate(("", None))]
    ids = [call.id for _ in range(3) for call in _told(*parts)[1]]

    assert all(ids)
    assert len(set(ids)) == len(ids)


def test_an_id_that_comes_late_is_not_told() -> None:
    told, (call,) = _told(_part(0, "", "f"), _part(0, "late", text="{}"), _part(0, "late", "f"))

    assert [part.id for part in told] == [call.id, None]
    assert call.id != "late"


def test_a_name_may_come_late_and_counts_once() -> None:
    told, (call,) = _told(_part(0, "a"), _part(0, None, "f", "{"), _part(0, "a", "f", "}"))

    assert [part.function.name for part in told] == [None, "f", None]
    assert call.function == FunctionCall("f", "{}")


def test_an_empty_name_after_the_first_packet_is_none() -> None:
    told, (call,) = _told(_part(0, "a", "f"), _part(0, "a", "", "{}"))

    assert told[1] == ToolCallPart(index=0, function=FunctionPart(arguments="{}"))
    assert call.function.name == "f"


def test_a_fragment_that_adds_nothing_is_not_told() -> None:
    told, _ = _told(_part(0, "a", "f"), _part(0), _part(0, "a", "f", ""), CallPart(index=0))

    assert len(told) == 1


def test_without_numbers_a_name_begins_a_call() -> None:
    _, whole = _told(
        _part(None, None, "a", "{"), _part(None, text="}"), _part(None, None, "b", "{}")
    )

    assert [call.function for call in whole] == [FunctionCall("a", "{}"), FunctionCall("b", "{}")]


def test_without_numbers_a_name_that_is_repeated_with_its_id_begins_none() -> None:
    _, (call,) = _told(_part(None, "x", "a", "{"), _part(None, "x", "a", "}"))

    assert call.function == FunctionCall("a", "{}")


def test_where_all_have_the_same_number_another_id_begins_a_call() -> None:
    _, whole = _told(_part(0, "x", "a", "{}"), _part(0, "y", "b", "{"), _part(0, text="}"))

    assert [call.id for call in whole] == ["x", "y"]
    assert [call.function for call in whole] == [FunctionCall("a", "{}"), FunctionCall("b", "{}")]


def test_an_id_of_its_own_in_each_packet_begins_none() -> None:
    _, (call,) = _told(_part(0, "x", "a", "{"), _part(0, "y", text="}"))

    assert (call.id, call.function) == ("x", FunctionCall("a", "{}"))


SAME_NUMBER: list[tuple[list[CallPart], list[tuple[str, str]]]] = [
    # Calls that are whole in one part each, of other names or the same.
    ([_part(0, None, "a", "{}"), _part(0, None, "b", "{}")], [("a", "{}"), ("b", "{}")]),
    ([_part(0, "", "a", '{"x":1}'), _part(0, "", "a", "{}")], [("a", '{"x":1}'), ("a", "{}")]),
    # In several, where only the first one has the name.
    (
        [_part(0, None, "a", "{"), _part(0, text="}"), _part(0, None, "a"), _part(0, text="{}")],
        [("a", "{}"), ("a", "{}")],
    ),
    # The name comes with every part.
    ([_part(0, None, "a", '{"x"'), _part(0, None, "a", ":1}")], [("a", '{"x":1}')]),
    ([_part(0, None, "a", ""), _part(0, None, "a", "{}")], [("a", "{}")]),
    ([_part(0, None, "a", '{"x":"}'), _part(0, None, "a", '"}')], [("a", '{"x":"}"}')]),
    (
        [_part(0, None, "a", text) for text in ("{", "}", "", "{", "}", "")],
        [("a", "{}"), ("a", "{}")],
    ),
    # Ids tell what belongs together, where there are any.
    ([_part(0, "x", "a", "{}"), _part(0, "x", "a", "")], [("a", "{}")]),
    ([_part(0, "x", "a", "{}"), _part(0, None, "a", "{}")], [("a", "{}"), ("a", "{}")]),
    # A half of a surrogate pair is JSON too.
    (
        [_part(0, None, "a", '["\\ud83d"]'), _part(0, None, "a", "{}")],
        [("a", '["\\ud83d"]'), ("a", "{}")],
    ),
]


@pytest.mark.parametrize(("parts", "calls"), SAME_NUMBER)
def test_where_all_have_the_same_number_a_name_after_a_whole_call_begins_another(
    parts: list[CallPart], calls: list[tuple[str, str]]
) -> None:
    told, whole = _told(*parts)

    assert [(call.function.name, call.function.arguments) for call in whole] == calls
    assert _joined(told) == whole


_TEXT = st.none() | st.sampled_from(["", "a", "b", "{", "}"])
_PARTS = st.builds(
    CallPart,
    index=st.none() | st.integers(-1, 3),
    id=_TEXT,
    function=st.none() | st.builds(Function, _TEXT, _TEXT),
)


@given(st.lists(_PARTS))
@settings(deadline=None)  # a busy machine is no fault
def test_fragments_add_up_to_the_calls(parts: list[CallPart]) -> None:
    told, whole = _told(*parts)

    assert _joined(told) == whole
    assert "".join(part.function.arguments for part in told) == "".join(
        (part.function and part.function.arguments) or "" for part in parts
    )


def test_more_calls_than_any_answer_needs_are_refused() -> None:
    calls = ToolCalls()
    for number in range(MAX_CALLS):
        calls.add(_part(number, name="f"))
    assert len(calls.whole()) == MAX_CALLS

    with pytest.raises(TooManyCalls, match=str(MAX_CALLS)):
        calls.add(_part(MAX_CALLS))


def test_to_tell_calls_apart_no_more_than_so_much_is_read() -> None:
    """A name with each fragment would have all of them read each time: seconds an event."""
    calls = ToolCalls()
    calls.add(_part(0, name="f", text='{"a":"' + "y" * 2**20))
    started = time.process_time()
    for _ in range(5000):
        calls.add(_part(0, name="f", text="y"))

    assert time.process_time() - started < 2
    assert len(calls.whole()) == 1
