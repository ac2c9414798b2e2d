"""What is left of a table where a terminal is too narrow for all of it. Pure.

Slow to import: only where something is drawn.
"""

from collections.abc import Iterable, Mapping, Sequence

from rich.cells import cell_len

GAP = 2
"""Between two columns."""

_ELLIPSIS = "…"


def natural_widths(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> dict[str, int]:
    """Return how wide each column is that shows all its cells."""
    cells = zip(*rows, strict=True)
    widths = {name: cell_len(name) for name in columns}
    for name, column in zip(columns, cells, strict=False):
        widths[name] = max(widths[name], *map(cell_len, column))
    return widths


def fitted(
    widths: Mapping[str, int], room: float, gives: Iterable[tuple[str, int]]
) -> dict[str, int]:
    """Return the columns that are shown, with their widths, in the order of *widths*.

    As long as they need more than *room*, one after the other of *gives* gives as much as it has
    to: a column, and the least that it can be read in; 0 leaves it out. Where that is not enough,
    the result is wider than *room*.
    """
    left = dict(widths)
    for column, least in gives:
        excess = sum(left.values()) + GAP * (len(left) - 1) - room
        if excess <= 0:
            break
        if column not in left:
            continue
        if least:
            left[column] = int(min(left[column], max(least, left[column] - excess)))
        else:
            del left[column]
    return left


def shortened(text: str, width: int) -> str:
    """Return *text* in at most *width* columns, an ellipsis for its middle where it is longer.

    The beginning and the end of an id tell more than its middle.
    """
    if cell_len(text) <= width:
        return text
    if width < 1:
        return ""
    tail = _beginning(text[::-1], (width - 1) // 2)[::-1]
    return f"{_beginning(text, width - 1 - cell_len(tail))}{_ELLIPSIS}{tail}"


def cut(text: str, width: int) -> str:
    """Return *text* in at most *width* columns, an ellipsis for its end where it is longer."""
    if cell_len(text) <= width:
        return text
    return _beginning(text, width - 1) + _ELLIPSIS[:width]


def folded(text: str, width: int, indent: int) -> list[str]:
    """Return *text* in at most two lines, the second one indented, and cut where it is longer."""
    if cell_len(text) <= width or width <= indent:
        return [cut(text, width)]
    first = _beginning(text, width)
    if not text[len(first)].isspace():
        head, _, word = first.rpartition(" ")
        # A word that takes more than half of the line is broken.
        if head and cell_len(word) <= (width - indent) // 2:
            first = head
    rest = text[len(first) :].lstrip()
    return [first.rstrip(), cut(" " * indent + rest, width)]


def padded(text: str, width: int) -> str:
    """Return *text* with spaces after it, up to *width* columns."""
    return text + " " * (width - cell_len(text))


def _beginning(text: str, width: int) -> str:
    """Return as much of the beginning of *text* as fits into *width* columns."""
    end = 0
    for each in text:
        width -= cell_len(each)
        if width < 0:
            break
        end += 1
    return text[:end]
