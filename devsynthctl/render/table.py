"""Tables for a terminal. Slow to import: only where one is drawn."""

from collections.abc import Container, Iterable, Sequence
from typing import Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from devsynthctl.render.fitting import GAP, fitted, natural_widths, shortened
from devsynthctl.render.text import cell

_MARKED = "*"


def console(stream: TextIO, *, color: bool) -> Console:
    """Return what draws on *stream*, a terminal."""
    system: Literal["auto"] | None = "auto" if color else None
    return Console(file=stream, color_system=system, highlight=False)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    room: int,
    *,
    long: Container[str] = (),
    gives: Iterable[tuple[str, int]] = (),
    marked: bool = False,
) -> Table:
    """Return a table of *rows*, for a terminal with *room* columns.

    Where that is too little, first *gives* give way, in their order; then the columns in *long*
    fold. *marked*: the last column marks rows with a ``*``; it is drawn first, without a heading.
    """
    cells = [[cell(each) for each in row] for row in rows]
    names = columns[:-1] if marked else columns
    widths = natural_widths(columns, cells)
    if marked:
        room -= len(_MARKED) + GAP
        del widths[columns[-1]]
    shown = fitted(widths, room, gives)

    drawn = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    if marked:
        drawn.add_column("", no_wrap=True)
    for name in shown:
        drawn.add_column(name, overflow="fold", no_wrap=name not in long)
    for row in cells:
        texts = [
            Text(shortened(text, shown[name]) if shown[name] < widths[name] else text)
            for name, text in zip(names, row, strict=False)
            if name in shown
        ]
        is_marked = marked and row[-1] == _MARKED
        if marked:
            texts.insert(0, Text(row[-1]))
        drawn.add_row(*texts, style="bold" if is_marked else "")
    return drawn


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    stream: TextIO,
    *,
    long: Container[str],
    gives: Iterable[tuple[str, int]],
    color: bool,
    marked: bool,
) -> None:
    """Draw *rows* on *stream*, as wide as its terminal; the rest as for `table`."""
    out = console(stream, color=color)
    out.print(table(columns, rows, out.width, long=long, gives=gives, marked=marked))
