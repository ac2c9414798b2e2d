"""What a table gives up where a terminal is too narrow."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from devsynthctl.render.fitting import (
    GAP,
    cut,
    fitted,
    folded,
    natural_widths,
    padded,
    shortened,
)

WIDTHS = {"id": 10, "name": 20, "owner": 5}
GIVES = [("owner", 0), ("name", 8), ("name", 0)]
TEXTS = st.text(st.sampled_from("abé日本🙂/-"), max_size=40)


@pytest.mark.parametrize(
    ("room", "left"),
    [
        (39, WIDTHS),
        (38, {"id": 10, "name": 20}),
        (32, {"id": 10, "name": 20}),
        (31, {"id": 10, "name": 19}),
        (20, {"id": 10, "name": 8}),
        (19, {"id": 10}),
        (3, {"id": 10}),
    ],
)
def test_columns_give_way_one_after_the_other(room: int, left: dict[str, int]) -> None:
    assert fitted(WIDTHS, room, GIVES) == left


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 50)),
    st.integers(0, 200),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 20))),
)
def test_nothing_is_given_up_without_need(
    widths: dict[str, int], room: int, gives: list[tuple[str, int]]
) -> None:
    left = fitted(widths, room, gives)
    given_up = {column for column, _ in gives}
    assert all(left[column] == widths[column] for column in widths if column not in given_up)
    assert all(left[column] <= widths[column] for column in left)
    if sum(widths.values()) + GAP * (len(widths) - 1) <= room:
        assert left == widths


def test_a_column_is_as_wide_as_its_widest_cell() -> None:
    rows = [("a", "日本語"), ("abc", "")]
    assert natural_widths(["x", "long"], rows) == {"x": 3, "long": 6}
    assert natural_widths(["x", "long"], []) == {"x": 1, "long": 4}


@pytest.mark.parametrize(
    ("width", "middle", "end"),
    [
        (10, "owner/name", "owner/name"),
        (9, "owne…name", "owner/na…"),
        (8, "owne…ame", "owner/n…"),
        (3, "o…e", "ow…"),
        (2, "o…", "o…"),
        (1, "…", "…"),
        (0, "", ""),
    ],
)
def test_what_has_no_room_is_shortened(width: int, middle: str, end: str) -> None:
    assert shortened("owner/name", width) == middle
    assert cut("owner/name", width) == end


@given(TEXTS, st.integers(0, 50))
def test_nothing_is_wider_than_it_may_be(text: str, width: int) -> None:
    assert cell_len(shortened(text, width)) <= width
    assert cell_len(cut(text, width)) <= width
    assert cell_len(padded(shortened(text, width), width)) == width


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("short", ["short"]),
        ("ab cd efghijkl", ["ab cd", "  efghijkl"]),
        ("abcdefgh ij", ["abcdefgh", "  ij"]),
        ("abcdefghij kl", ["abcdefghij", "  kl"]),
        ("abcdefghijkl", ["abcdefghij", "  kl"]),
        ("a bcdefghijkl", ["a bcdefghi", "  jkl"]),
        ("ab cd ef gh ij kl mn", ["ab cd ef", "  gh ij k…"]),
    ],
)
def test_a_long_text_has_two_lines(text: str, lines: list[str]) -> None:
    assert folded(text, 10, 2) == lines


@given(TEXTS, st.integers(0, 50), st.integers(0, 12))
def test_no_folded_line_is_wider_than_it_may_be(text: str, width: int, indent: int) -> None:
    lines = folded(text, width, indent)
    assert len(lines) in (1, 2)
    assert all(cell_len(each) <= width for each in lines)
