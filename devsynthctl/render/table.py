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
    marked: bool,
) -> None:
    """Draw *rows* on *stream*, as wide as its terminal; columns in *long* give way and fold.

    *marked*: the last column marks rows with a ``*``; it is drawn first, and without a heading.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    if marked:
        table.add_column("", no_wrap=True)
    for name in columns[:-1] if marked else columns:
        table.add_column(name, overflow="fold", no_wrap=name not in long)
    for row in rows:
        texts = [Text(cell(each)) for each in row]
        if marked:
            texts.insert(0, texts.pop())
        table.add_row(*texts, style="bold" if marked and row[-1] == _MARKED else "")
    system: Literal["auto"] | None = "auto" if color else None
    Console(file=stream, color_system=system, highlight=False).print(table)
