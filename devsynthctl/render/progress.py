"""How far something is, drawn while it lasts. Slow to import: only where it is drawn."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, TextIO

from rich import progress as rich_progress
from rich.console import Console

from devsynthctl.call import OnProgress
from devsynthctl.render.text import cell
from devsynthd.wire.replies import Progress


class Drawing:
    """A line on *stream*, a terminal: *title*, a *bar* or else a spinner, and the seconds.

    It is drawn from `start` on, by a thread of its own, and wiped off by `stop`.
    """

    def __init__(self, title: str, stream: TextIO, *, bar: bool, color: bool) -> None:
        system: Literal["auto"] | None = "auto" if color else None
        self._progress = rich_progress.Progress(
            rich_progress.TextColumn("{task.description}", markup=False),
            rich_progress.BarColumn() if bar else rich_progress.SpinnerColumn(),
            rich_progress.TaskProgressColumn(),  # empty as long as the fraction is not known
            rich_progress.TextColumn("{task.elapsed:.0f} s", markup=False),
            console=Console(file=stream, color_system=system, highlight=False),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._progress.add_task(cell(title), total=None)

    def start(self) -> None:
        """Draw it from now on."""
        self._progress.start()

    def stop(self) -> None:
        """Wipe it off."""
        self._progress.stop()

    def entitle(self, title: str) -> None:
        """Have it say *title* from now on."""
        self._progress.update(self._task, description=cell(title))

    def show(self, progress: Progress) -> None:
        """Show the fraction that is done, where it is known."""
        if progress.fraction is not None:
            self._progress.update(self._task, total=1, completed=progress.fraction)


@contextmanager
def drawn(title: str, stream: TextIO, *, bar: bool, color: bool) -> Iterator[OnProgress]:
    """Draw how far something is while the block runs; it gets whom to tell."""
    drawing = Drawing(title, stream, bar=bar, color=color)
    drawing.start()
    try:
        yield drawing.show
    finally:
        drawing.stop()
