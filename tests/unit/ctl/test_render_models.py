"""What of the models changes, gives way, or stands in."""

import msgspec
import pytest

from devsynthctl.render.models import Row, changes, gives_way, stand_in
from devsynthd.wire.objects import Model, Selection

A: Row = ("a", "A", "", "llm", "loaded", "4096", "", "*")
B: Row = ("b", "B", "o", "llm", "unknown", "", "Q4", "")
A_LATER: Row = ("a", "A", "", "llm", "not loaded", "4096", "", "")
A_GONE: Row = ("a", "A", "", "llm", "gone", "4096", "", "")


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ([], [], []),
        ([], [A, B], [A, B]),
        ([A, B], [A, B], []),
        ([A, B], [B, A], []),
        ([A, B], [A_LATER, B], [A_LATER]),
        ([B], [A, B], [A]),
        ([A, B], [B], [A_GONE]),
        ([A], [B], [B, A_GONE]),
    ],
)
def test_only_what_has_changed_is_told(before: list[Row], now: list[Row], told: list[Row]) -> None:
    assert changes(before, now) == told


@pytest.mark.parametrize(
    ("name", "says_no_more"),
    [("Qwen3 4B", True), ("qwen/qwen3-4b", True), ("QWEN3_4b", True), ("Qwen3 4B Instruct", False)],
)
def test_a_name_that_repeats_the_id_goes_early(name: str, says_no_more: bool) -> None:  # noqa: FBT001 - a case
    order = gives_way([Model(id="qwen/qwen3-4b", name=name)])
    assert order[0] == ("owner", 0)
    assert (order[1] == ("name", 0)) is says_no_more
    assert all(column not in ("id", "state") for column, _ in order)


@pytest.mark.parametrize(
    ("how", "selected", "told"),
    [
        ("fallback", False, "local would answer: it stands in"),
        ("fallback", True, None),
        ("auto", False, None),
    ],
)
def test_who_stands_in_is_told_if_the_list_does_not_show_it(
    how: str,
    selected: bool,  # noqa: FBT001 - a case
    told: str | None,
) -> None:
    fields = {"model": "local", "how": how, "available": True, "reason": "it stands in"}
    selection = msgspec.convert(fields, Selection)
    assert stand_in([Model(id="a", name="A", selected=selected)], selection) == told
