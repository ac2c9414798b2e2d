"""Tables for a terminal. Slow to import: only where one is drawn."""

from collections.abc import Container, Iterable, Sequence
from typing import Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from devsynthctl.render.text import cell

_MARKED = "*"


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    stream: TextIO,
    *,
    long: Container[str],
    color: bool,
) -> None:
    """Draw *rows* on *stream*, as wide as its terminal; columns in *long* give way and fold.

    The last column marks rows with a ``*``; it is drawn first, and without a heading.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True)
    for name in columns[:-1]:
        table.add_column(name, overflow="fold", no_wrap=name not in long)
    for *cells, mark in rows:
        style = "bold" if mark == _MARKED else ""
        table.add_row(mark, *(Text(cell(each)) for each in cells), style=style)
    system: Literal["auto"] | None = "auto" if color else None
    Console(file=stream, color_system=system, highlight=False).print(table)
