"""Bytes into lines, wherever they are cut."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.pipe.lines import Cutter, Line

LIMIT = 8


def cut(*pieces: bytes) -> list[Line]:
    cutter = Cutter(LIMIT)
    return [line for piece in pieces for line in cutter.feed(piece)] + cutter.end()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (b"", []),
        (b"\n\r\n \t\n", []),
        (b"a\nb\n", [Line(1, b"a"), Line(2, b"b")]),
        (b"a\n\n\nb", [Line(1, b"a"), Line(4, b"b")]),
        (b"\xef\xbb\xbfa\r\n  b\t\r\n", [Line(1, b"a"), Line(2, b"b")]),
        (b"12345678", [Line(1, b"12345678")]),
        (b"\xef\xbb\xbf12345678\r\n", [Line(1, b"12345678")]),
        (b"123456789", [Line(1, None)]),
        (b"123456789\nb\n", [Line(1, None), Line(2, b"b")]),
        (b"1234567890123456\n\nb", [Line(1, None), Line(3, b"b")]),
        (b"1 2\x003", [Line(1, b"1 2\x003")]),
    ],
)
def test_lines_are_counted_trimmed_and_bounded(text: bytes, lines: list[Line]) -> None:
    assert cut(text) == lines


@given(st.binary(max_size=64), st.lists(st.integers(0, 64), max_size=8))
def test_it_does_not_matter_where_bytes_are_cut(text: bytes, places: list[int]) -> None:
    edges = [0, *sorted(places), len(text)]
    pieces = [text[start:end] for start, end in pairwise(edges)]

    assert cut(*pieces) == cut(text)


def test_of_an_endless_line_nothing_is_kept() -> None:
    cutter = Cutter(LIMIT)
    for _ in range(1000):
        assert cutter.feed(b"x" * LIMIT) == []

    assert sum(len(piece) for piece in vars(cutter)["_pieces"]) <= 2 * LIMIT
    assert cutter.feed(b"\nb\n") == [Line(1, None), Line(2, b"b")]
