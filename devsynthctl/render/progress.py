"""How far something is, drawn while it lasts. Slow to import: only where it is drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

from rich import progress as rich_progress
from rich.console import Console

from devsynthctl.client import OnProgress
from devsynthctl.render.text import cell
from devsynthd.wire.replies import Progress


@contextmanager
def drawn(title: str, stream: TextIO, *, bar: bool, color: bool) -> Iterator[OnProgress]:
    """Draw *title* and the seconds on *stream*, a terminal, and wipe them off at the end.

    The percentage, and the *bar* or else a spinner, show what the yielded function is told.
    """
    system: Literal["auto"] | None = "auto" if color else None
    columns = (
        rich_progress.TextColumn("{task.description}", markup=False),
        rich_progress.BarColumn() if bar else rich_progress.SpinnerColumn(),
        rich_progress.TaskProgressColumn(),  # empty as long as the fraction is not known
        rich_progress.TextColumn("{task.elapsed:.0f} s", markup=False),
    )
    drawing = rich_progress.Progress(
        *columns,
        console=Console(file=stream, color_system=system, highlight=False),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = drawing.add_task(cell(title), total=None)

    def show(progress: Progress) -> None:
        if progress.fraction is not None:
            drawing.update(task, total=1, completed=progress.fraction)

    with drawing:
        yield show
