"""Where in a TOML file a key stands, which its parser does not tell. Pure."""

import re

_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\\\n]*"|'[^'\n]*')"""
_DOTTED = rf"{_PART}(?:[ \t]*\.[ \t]*{_PART})*"
_HEADER = re.compile(rf"[ \t]*\[\[?[ \t]*({_DOTTED})[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_PARTS = re.compile(_PART)

KeyPath = tuple[str, ...]


def key_lines(text: str) -> dict[KeyPath, int]:
    """Return the first line, counted from 1, of each table and key of the valid TOML in *text*.

    Keys of an inline table have the line of that table, under its path alone. Lines inside a
    multi-line string may be taken for keys: no setting takes one.
    """
    lines: dict[KeyPath, int] = {}
    table: KeyPath = ()
    for number, line in enumerate(text.split("\n"), start=1):
        if header := _HEADER.match(line):
            table = _path(header[1])
            lines.setdefault(table, number)
        elif key := _KEY.match(line):
            path = table + _path(key[1])
            for length in range(1, len(path) + 1):
                lines.setdefault(path[:length], number)
    return lines


def key_at(text: str, number: int) -> KeyPath | None:
    """Return the table or key that line *number*, counted from 1, sets; null: none is seen there.

    What *text* has behind that line need not be valid TOML.
    """
    found: KeyPath | None = None
    table: KeyPath = ()
    for line in text.split("\n")[:number]:
        found = None
        if header := _HEADER.match(line):
            found = table = _path(header[1])
        elif key := _KEY.match(line):
            found = table + _path(key[1])
    return found


def line_of(lines: dict[KeyPath, int], *path: str) -> int | None:
    """Return the line of *path*, else that of the closest table around it, else null."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _path(dotted: str) -> KeyPath:
    return tuple(part.strip("\"'") for part in _PARTS.findall(dotted))
