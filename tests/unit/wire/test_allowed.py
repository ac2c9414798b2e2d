"""Annotations in words."""

from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct, inspect

from devsynthd.wire.allowed import field_names, in_words, takes_words, type_at
from devsynthd.wire.requests import REQUEST_TYPES, Generate

ShortText = Annotated[str, Meta(min_length=1, max_length=8)]


class Point(Struct):
    x: float
    y: float
    name: str = ""


class Options(Struct):
    points: list[Point] | None = None


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (float, "a number"),
        (int, "an integer"),
        (Annotated[int, Meta(ge=-1, le=2**31 - 1)], "an integer from -1 to 2147483647"),
        (Annotated[float, Meta(multiple_of=1)], "an integer"),
        (Annotated[float, Meta(ge=0, le=0.5)], "a number from 0 to 0.5"),
        (Annotated[float, Meta(gt=0, le=1e9)], "a number above 0 and up to 1000000000"),
        (Annotated[float, Meta(ge=0)], "a number from 0"),
        (Annotated[float, Meta(lt=1)], "a number below 1"),
        (float | None, "a number, or null"),
        (int | float | bool | None, "a number, true or false, or null"),
        (str, "a text"),
        (ShortText, "a text of 1 to 8 characters"),
        (Annotated[str, Meta(max_length=8)], "a text of at most 8 characters"),
        (Annotated[str, Meta(max_length=1)], "a text of at most 1 character"),
        (Annotated[str, Meta(min_length=1)], "a text of at least 1 character"),
        (Annotated[str, Meta(min_length=2)], "a text of at least 2 characters"),
        (Literal["a"], "a"),
        (Literal["a", "b", "c"], "a, b or c"),
        (Literal["a", "b"] | None, "a or b, or null"),
        (list[int], "a list, each an integer"),
        (
            ShortText | Annotated[list[ShortText], Meta(max_length=4)] | None,
            "a text of 1 to 8 characters, a list of at most 4 of them, or null",
        ),
        (str | list[str], "a text, or a list of any number of them"),
        (
            Annotated[list[Point], Meta(min_length=1, max_length=4)],
            "a list of 1 to 4 items, each a map with `x` and `y`",
        ),
        (Options, "a map"),
        (Any, "any value"),
    ],
)
def test_what_is_allowed_is_said_in_words(annotation: object, words: str) -> None:
    assert in_words(inspect.type_info(annotation)) == words


def test_a_path_leads_through_lists_and_maps() -> None:
    inside = type_at(Options, ["points", 3, "x"])

    assert inside == inspect.FloatType()


@pytest.mark.parametrize(
    "steps", [["nothing"], ["points", "x"], [0], ["points", 0, 0], ["points", 0, "x", "y"]]
)
def test_a_path_to_nothing_leads_nowhere(steps: list[str | int]) -> None:
    assert type_at(Options, steps) is None


def test_a_field_that_may_be_a_map_has_the_names_of_its_fields() -> None:
    declared = type_at(Generate, ["tool_choice"])

    assert declared is not None
    assert field_names(declared) == ("type", "function")
    assert takes_words(declared)


@pytest.mark.parametrize("op", REQUEST_TYPES)
def test_each_field_of_each_request_has_words(op: str) -> None:
    struct = REQUEST_TYPES[op]

    for name in struct.__struct_fields__:
        declared = type_at(struct, [name])
        assert declared is not None
        assert isinstance(declared, inspect.RawType) or "any value" not in in_words(declared)
