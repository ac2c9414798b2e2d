"""Text that comes from models and upstreams, made safe to look at. Pure."""

from collections.abc import Iterable, Sequence

_CONTROL_PICTURES = 0x2400  # U+2400 to U+241F picture the controls U+0000 to U+001F
_DELETE, _DELETE_PICTURE = 0x7F, 0x2421
_C1 = range(0x80, 0xA0)
# What makes text run backwards, or hides where a line ends.
_DIRECTIONS = (0x061C, 0x200E, 0x200F, *range(0x2028, 0x202F), *range(0x2066, 0x206A))

_UNSAFE = {code: chr(_CONTROL_PICTURES + code) for code in range(0x20)}
_UNSAFE[_DELETE] = chr(_DELETE_PICTURE)
_UNSAFE |= dict.fromkeys((*_C1, *_DIRECTIONS), "\N{REPLACEMENT CHARACTER}")

_IN_TEXT = {code: shown for code, shown in _UNSAFE.items() if chr(code) not in "\n\t"}
_IN_CELLS = _UNSAFE | dict.fromkeys((ord("\n"), ord("\t"), ord("\r"), 0x2028, 0x2029), " ")
_IN_JSON = {code: f"\\u{code:04x}" for code in (_DELETE, *_C1, *_DIRECTIONS)}


def printable(text: str) -> str:
    """Return *text* with a picture in place of each control character but newline and tab."""
    return text if text.isascii() and text.isprintable() else text.translate(_IN_TEXT)


def cell(text: str) -> str:
    """Return *text* as it may stand in a table: one line, no tabs, no control characters."""
    return text if text.isascii() and text.isprintable() else text.translate(_IN_CELLS)


def escaped(json_text: str) -> str:
    """Return the same JSON with those characters escaped that JSON allows but terminals obey."""
    return json_text if json_text.isascii() else json_text.translate(_IN_JSON)


def tab_separated(rows: Iterable[Sequence[str]]) -> str:
    """Return a line a row, its cells separated by tabs."""
    return "".join("\t".join(map(cell, row)) + "\n" for row in rows)
