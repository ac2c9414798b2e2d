"""The screen of ``top``: how a daemon is, in as many lines as a terminal has. Pure.

Slow to import: only where it is drawn.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs
from rich.console import Group
from rich.text import Text

from devsynthctl.render.fitting import GAP, cut, fitted, natural_widths, padded, shortened
from devsynthctl.render.requests import NO_WORK
from devsynthctl.render.status import duration, source_text
from devsynthctl.render.text import cell
from devsynthctl.watching.observed import Mishap, Observed
from devsynthd.wire.objects import RequestInfo
from devsynthd.wire.results import StatusReport

COLUMNS = ("request", "op", "model", "state", "position", "seconds", "tokens/s", "client")
_GIVES_WAY = (
    ("client", 12),
    ("model", 36),
    ("client", 0),
    ("op", 0),
    ("model", 20),
    ("position", 0),
    ("model", 12),
    ("tokens/s", 0),
    ("seconds", 0),
    ("model", 5),
)
_MB = 10**6
_NAME_WIDTH = 10
_LEAST_ID = 12
_KEYS = "q: leave"


class Line(NamedTuple):
    """A line of the screen, and how it is to look."""

    text: str
    style: str = ""


def screen(observed: Observed, width: int, height: int) -> Group:
    """Return what a terminal of *width* and *height* shows."""
    found = lines(observed, width, height)
    return Group(*(Text(each.text, each.style, no_wrap=True, overflow="crop") for each in found))


def lines(observed: Observed, width: int, height: int) -> list[Line]:
    """Return at most *height* lines, none wider than *width*.

    Requests for which there is no room are counted, mishaps left out; how the daemon is comes
    first.
    """
    head = [*_head(observed, width), Line("")]
    foot = [Line(shortened(_KEYS, width), "dim")]
    mishaps = _mishaps(observed.mishaps, width)
    requests = [each for each in observed.report.requests if each.op not in NO_WORK]
    if observed.gone is not None:
        requests = []
    room = max(0, height - len(head) - len(foot))
    # Of what is left, mishaps get no more than what requests do not need, but at least a third.
    wanted = 1 + max(1, len(requests))
    shown_mishaps = mishaps[: max(room - wanted, room // 3)] if room else []
    table = _table(requests, width, room - len(shown_mishaps))
    body = [*table, *shown_mishaps][:room]
    blank = [Line("")] * (room - len(body))
    return [*head, *body, *blank, *foot][:height]


def _head(observed: Observed, width: int) -> list[Line]:
    """Return how the daemon, its upstream and its queue are."""
    report, source = observed.report, observed.report.source
    bad = "bold red"
    if observed.gone is None:
        first = Line(_daemon(report), "bold")
    else:
        first = Line(cell(f"no daemon: {observed.gone}; waiting until it is back"), bad)
    queue, selection = report.queue, report.selection
    room = width - _NAME_WIDTH
    model = shortened(selection.model or "none", max(_LEAST_ID, room // 2))
    facts = [
        (
            "upstream",
            source_text(structs.replace(source, error=None)),
            "" if source.reachable else bad,
        ),
        *([("", f"{source.error.code}: {source.error.message}", bad)] if source.error else []),
        ("model", f"{model} ({selection.how}: {selection.reason})", ""),
        ("loaded", _loaded(observed.loaded, room), ""),
        (
            "queue",
            f"{queue.running} running (at most {queue.max_concurrency}), {queue.waiting} waiting",
            "",
        ),
    ]
    if not report.config.valid:
        facts.append(("config", f"not valid: {report.config.error or ''}", bad))
    if observed.gone is not None:
        facts = [(name, text, "dim") for name, text, _ in facts]
    return [
        Line(cut(first.text, width), first.style),
        *(Line(_fact(name, text, width), style) for name, text, style in facts),
    ]


def _daemon(report: StatusReport) -> str:
    memory = "" if report.memory_bytes is None else f", {report.memory_bytes / _MB:.0f} MB"
    up = duration(report.uptime_s)
    return f"devsynthd {report.version}, pid {report.pid}, up {up}{memory}"


def _fact(name: str, text: str, width: int) -> str:
    return cut(cell(f"{name:<{_NAME_WIDTH}}{text}"), width)


def _loaded(ids: Sequence[str], room: int) -> str:
    """Return the ids of the models that are loaded, shortened where all of them need it."""
    if not ids:
        return "none that is known"
    whole = ", ".join(ids)
    if len(whole) <= room:
        return whole
    each = max(_LEAST_ID, room // len(ids) - len(", "))
    return ", ".join(shortened(id, each) for id in ids)


def _table(requests: Sequence[RequestInfo], width: int, room: int) -> list[Line]:
    """Return the requests in at most *room* lines, the header included."""
    if room <= 0:
        return []
    if not requests:
        return [Line(cut("nothing runs", width), "dim")]
    rows = [tuple(cell(each) for each in _row(info)) for info in requests]
    kept = len(rows) if len(rows) < room else max(0, room - 2)
    widths = natural_widths(COLUMNS, rows)
    shown = fitted(widths, width, _GIVES_WAY)
    drawn = [Line(_joined(COLUMNS, shown, width), "bold")]
    drawn += [Line(_joined(row, shown, width)) for row in rows[:kept]]
    if kept < len(rows):
        drawn.append(Line(cut(f"and {len(rows) - kept} more: devsynthctl ps", width), "dim"))
    return drawn[:room]


def _row(info: RequestInfo) -> tuple[str, ...]:
    timing = info.timing
    speed = timing.tokens_per_s if timing else None
    return (
        str(info.request),
        info.op,
        info.model or "",
        info.state,
        "" if info.position is None else str(info.position),
        "" if timing is None else f"{timing.total_s:.1f}",
        "" if speed is None else f"{speed:.1f}",
        info.client or "",
    )


def _joined(cells: Sequence[str], widths: dict[str, int], width: int) -> str:
    parts = [
        padded(shortened(text, widths[name]), widths[name])
        for name, text in zip(COLUMNS, cells, strict=True)
        if name in widths
    ]
    return cut((" " * GAP).join(parts).rstrip(), width)


def _mishaps(mishaps: Sequence[Mishap], width: int) -> list[Line]:
    """Return the last mishaps, the newest first, below an empty line and a heading."""
    if not mishaps:
        return []
    told = (_mishap(each, width) for each in reversed(mishaps))
    return [Line(""), Line(cut("last errors", width), "bold"), *(Line(each) for each in told)]


def _mishap(mishap: Mishap, width: int) -> str:
    what = shortened(cell(mishap.what), max(_LEAST_ID, width // 2))
    error = f"{mishap.error.code}: {mishap.error.message}"
    return cut(cell(f"{clock(mishap.time)}  {what}: {error}"), width)


def clock(time_s: float) -> str:
    """Return the local time of day at *time_s* (Unix time)."""
    return time.strftime("%H:%M:%S", time.localtime(time_s))
