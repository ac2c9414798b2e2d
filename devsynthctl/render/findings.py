"""Draws what an examination came to. Slow to import: only for a terminal."""

from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from devsynthctl.doctor.trouble import Finding, State
from devsynthctl.render.table import console
from devsynthctl.render.text import cell

_MARKS: dict[State, str] = {"ok": "✓", "warn": "!", "failed": "✗", "skipped": "-"}
_WORDS: dict[State, str] = {"ok": "ok", "warn": "warn", "failed": "FAIL", "skipped": "-"}
_STYLES: dict[State, str] = {"ok": "green", "warn": "yellow", "failed": "red", "skipped": "dim"}
_NAME_WIDTH = 12
_ROOM_FOR_COLUMNS = 45
_UNTOLD_S = 0.0005  # what took less would be told as 0 ms


def draw(finding: Finding, stream: TextIO, *, color: bool) -> None:
    """Draw *finding* on *stream*, a terminal: marked, folded, and below it what mends it."""
    out = console(stream, color=color)
    if out.width < _ROOM_FOR_COLUMNS:
        _draw_narrow(finding, out, stream, color=color)
        return
    marks = _MARKS if _can_show(stream) else _WORDS
    style = _STYLES[finding.state] if color else ""
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 1, 0, 0))
    drawn.add_column(width=max(map(len, marks.values())), no_wrap=True)
    drawn.add_column(width=_NAME_WIDTH, no_wrap=True)
    drawn.add_column(overflow="fold")
    mark = Text(marks[finding.state], style=style)
    drawn.add_row(mark, Text(finding.name), Text("\n".join(_lines(finding))))
    if finding.remedy:
        remedy = Text(f"to mend it: {cell(finding.remedy)}", style="bold" if color else "")
        drawn.add_row("", "", remedy)
    out.print(drawn)


def _draw_narrow(finding: Finding, out: Console, stream: TextIO, *, color: bool) -> None:
    """Draw the same without columns, which would leave a few letters for each line."""
    marks = _MARKS if _can_show(stream) else _WORDS
    style = _STYLES[finding.state] if color else ""
    out.print(Text.assemble((marks[finding.state], style), f" {finding.name}"))
    for line in _lines(finding):
        out.print(Text(line))
    if finding.remedy:
        out.print(Text(f"to mend it: {cell(finding.remedy)}", style="bold" if color else ""))


def _lines(finding: Finding) -> list[str]:
    first, *more = (cell(line) for line in finding.message.splitlines() or [""])
    if finding.state != "skipped" and finding.duration_s >= _UNTOLD_S:
        first += f" ({_duration(finding.duration_s)})"
    return [first, *more]


def _duration(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def _can_show(stream: TextIO) -> bool:
    try:
        "".join(_MARKS.values()).encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return False
    return True
