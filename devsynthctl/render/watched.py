"""The screen of ``models --watch``. Pure. Slow to import: only where it is drawn."""

from rich.console import Group, RenderableType
from rich.text import Text

from devsynthctl.render.fitting import cut
from devsynthctl.render.models import COLUMNS, NAME_COLUMNS, gives_way, row
from devsynthctl.render.status import source_text
from devsynthctl.render.table import table
from devsynthctl.render.text import cell
from devsynthctl.watching.models import Listed

_KEYS = "q: leave"
_AROUND = 6
"""Lines that are no models: those above the table, its header, and those below it."""


def screen(listed: Listed, width: int, height: int) -> RenderableType:
    """Return what a terminal of *width* and *height* shows; models without room are counted."""
    now, selection = listed.models, listed.models.selection
    room = max(0, height - _AROUND)
    shown = now.models[: room if len(now.models) <= room else max(0, room - 1)]
    rest = len(now.models) - len(shown)
    model = f"model: {selection.model or 'none'} ({selection.how}: {selection.reason})"

    def line(text: str, style: str = "") -> Text:
        return Text(cut(cell(text), width), style, no_wrap=True, overflow="crop")

    if listed.gone:
        first = line(f"no daemon: {listed.gone}; waiting until it is back", "bold red")
    else:
        first = line(source_text(now.source), "" if now.source.reachable else "bold red")
    drawn = table(
        COLUMNS,
        map(row, shown),
        width,
        long=NAME_COLUMNS,
        gives=gives_way(shown),
        marked=True,
    )
    more = [line(f"and {rest} more: devsynthctl models", "dim")] if rest else []
    return Group(first, line(model), line(""), drawn, *more, line(""), line(_KEYS, "dim"))
