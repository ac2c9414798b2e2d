"""What the vectors let pass, and what they do not."""

from typing import Any

import pytest

from tests.vectors.likeness import differences, moved


@pytest.mark.parametrize(
    ("recorded", "today"),
    [
        ({"a": 1}, {"a": 1, "new": 2}),
        ({"pid": 1, "memory_bytes": 5}, {"pid": 2.5, "memory_bytes": None}),
        ({"message": "no", "hint": None}, {"message": "not so", "hint": None}),
        ({"ops": ["ping", "list"]}, {"ops": ["ping", "new", "list"]}),
        (
            {"settings": [{"key": "a", "value": 1}]},
            {"settings": [{"key": "b"}, {"key": "a", "value": 1}]},
        ),
        ([{"a": [1, {"b": None}]}], [{"a": [1, {"b": None, "c": 1}]}]),
    ],
)
def test_what_clients_can_live_with(recorded: Any, today: Any) -> None:  # noqa: ANN401 - any values
    assert list(differences(recorded, today)) == []


@pytest.mark.parametrize(
    ("recorded", "today", "said"),
    [
        ({"a": 1}, {}, ".a is gone"),
        ({"a": {"b": 1}}, {"a": {"b": 2}}, ".a.b is 2, not 1"),
        ({"a": 1}, {"a": 1.0}, ".a is 1.0, not 1"),
        ({"a": 1}, {"a": True}, ".a is True, not 1"),
        ({"a": None}, {"a": {}}, ".a is {}, not None"),
        ({"pid": 1}, {"pid": "1"}, ".pid is '1', not 1"),
        ({"pid": 1}, {"pid": True}, ".pid is True, not 1"),
        ({"message": "no"}, {"message": None}, ".message is None, not 'no'"),
        ({"a": [1]}, {"a": [1, 2]}, ".a has 2 entries, not 1"),
        ({"ops": ["ping"]}, {"ops": ["list"]}, ".ops has 0 entries, not 1"),
        ({"a": [{"b": 1}]}, {"a": [{}]}, ".a[0].b is gone"),
    ],
)
def test_what_breaks_them(recorded: Any, today: Any, said: str) -> None:  # noqa: ANN401 - any values
    assert list(differences(recorded, today)) == [said]


def test_places_are_replaced_wherever_they_stand() -> None:
    told = {"a": ["x:/old/f", {"b": "/old"}], "n": 1}

    assert moved(told, {"/old": "/new"}) == {"a": ["x:/new/f", {"b": "/new"}], "n": 1}
