"""The screen of ``models --watch``. Pure. Slow to import: only where it is drawn."""

from collections.abc import Sized

from rich.console import Group, RenderableType
from rich.text import Text

from devsynthctl.render.fitting import cut
from devsynthctl.render.models import COLUMNS, NAME_COLUMNS, gives_way, row
from devsynthctl.render.status import source_text
from devsynthctl.render.table import table
from devsynthctl.render.text import cell
from devsynthctl.watching.models import Listed

_KEYS = "q: leave"
_ROWS = 2
"""Lines that models have at least: one of them, and how many more there are."""
_GIVEN_UP = ("rest", "gap", "keys", "model", "source")
"""The lines, by their names, that give way on a low terminal, in this order."""
_NARROW = (("id", 12), ("state", 0), ("id", 2))
"""The columns that give way at last: an id that folds would take the lines of others."""


def screen(listed: Listed, width: int, height: int) -> RenderableType:
    """Return what a terminal of *width* and *height* shows; models without room are counted.

    On a low terminal what stands around the table gives way to the first of the models.
    """
    now, selection = listed.models, listed.models.selection
    model = f"model: {selection.model or 'none'} ({selection.how}: {selection.reason})"

    def line(text: str, style: str = "") -> Text:
        return Text(cut(cell(text), width), style, no_wrap=True, overflow="crop")

    if listed.gone:
        above = {"gone": line(f"no daemon: {listed.gone}; waiting until it is back", "bold red")}
    else:
        state = line(source_text(now.source), "" if now.source.reachable else "bold red")
        above = {"source": state}
    above |= {"model": line(model), "gap": line("")}
    below = {"rest": line(""), "keys": line(_KEYS, "dim")}
    room = _room(height, above, below)
    for name in _GIVEN_UP:
        if room >= min(_ROWS, len(now.models)):
            break
        above.pop(name, None)
        below.pop(name, None)
        room = _room(height, above, below)
    shown = now.models[: room if len(now.models) <= room else max(0, room - 1)]
    rest = len(now.models) - len(shown)
    drawn = table(
        COLUMNS,
        map(row, shown),
        width,
        long=NAME_COLUMNS,
        gives=(*gives_way(shown), *_NARROW),
        marked=True,
    )
    more = [line(f"and {rest} more: devsynthctl models", "dim")] if rest and room > 0 else []
    return Group(*above.values(), drawn, *more, *below.values())


def _room(height: int, *around: Sized) -> int:
    """Return how many lines are left for models, below the header of the table; below 0: none."""
    return height - 1 - sum(map(len, around))
