"""The screen of ``top``: how a daemon is, in as many lines as a terminal has. Pure.

Slow to import: only where it is drawn.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from msgspec import structs
from rich.console import Group
from rich.text import Text

from devsynthctl.render.fitting import (
    GAP,
    cut,
    fitted,
    folded,
    natural_widths,
    padded,
    shortened,
)
from devsynthctl.render.requests import NO_WORK
from devsynthctl.render.status import duration, source_text
from devsynthctl.render.text import cell
from devsynthctl.watching.observed import Mishap, Observed
from devsynthd.wire.objects import QueueStatus, RequestInfo
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
_ROWS = 3
"""Lines that requests have at least: a header, a row, and how many more there are."""
_LEAST_MISHAPS = 3
"""Lines that mishaps take at least: an empty one, the heading, and one of them."""
_CLOCK_WIDTH = len("00:00:00  ")
_GIVEN_UP = ("gap", "loaded", "model", "keys", "daemon", "error", "config", "upstream")
"""The lines, by their names, that give way on a low terminal, in this order."""
_LEAST_NAMED = 3 * _NAME_WIDTH
"""On how many columns the lines begin with their names."""


class Line(NamedTuple):
    """A line of the screen, how it is to look, and what it is called, if it can give way."""

    text: str
    style: str = ""
    name: str | None = None


def screen(observed: Observed, width: int, height: int) -> Group:
    """Return what a terminal of *width* and *height* shows."""
    found = lines(observed, width, height)
    return Group(*(Text(each.text, each.style, no_wrap=True, overflow="crop") for each in found))


def lines(observed: Observed, width: int, height: int) -> list[Line]:
    """Return at most *height* lines, none wider than *width*.

    Requests for which there is no room are counted, mishaps left out. On a low terminal what is
    known of the daemon gives way to the first of the requests.
    """
    requests = [each for each in observed.report.requests if each.op not in NO_WORK]
    if observed.gone is not None:
        requests = []
    wanted = 1 + len(requests) if requests else 1
    keys = Line(shortened(_KEYS, width), "dim", "keys")
    around = [*_head(observed, width), Line("", name="gap"), keys]
    for name in _GIVEN_UP:
        if height - len(around) >= min(wanted, _ROWS):
            break
        around = [each for each in around if each.name != name]
    head, foot = [each for each in around if each is not keys], [keys] * (keys in around)
    room = max(0, height - len(around))
    # Of what is left, mishaps get no more than what requests do not need, but at least a third.
    mishaps = _mishaps(observed.mishaps, width, max(room - wanted, room // 3))
    body = [*_table(requests, width, room - len(mishaps)), *mishaps]
    blank = [Line("")] * (room - len(body))
    return [*head, *body, *blank, *foot][:height]


def _head(observed: Observed, width: int) -> list[Line]:
    """Return how the daemon, its upstream and its queue are."""
    report, source = observed.report, observed.report.source
    bad = "bold red"
    if observed.gone is None:
        first = Line(_daemon(report), "bold", "daemon")
    else:
        first = Line(cell(f"no daemon: {observed.gone}; waiting until it is back"), bad)
    selection = report.selection
    room = width - _NAME_WIDTH if width >= _LEAST_NAMED else width
    model = shortened(selection.model or "none", max(_LEAST_ID, room // 2))
    facts = [
        (
            "upstream",
            source_text(structs.replace(source, error=None)),
            "" if source.reachable else bad,
        ),
        *([("error", f"{source.error.code}: {source.error.message}", bad)] if source.error else []),
        ("model", f"{model} ({selection.how}: {selection.reason})", ""),
        ("loaded", _loaded(observed.loaded, room), ""),
        ("queue", _queue(report.queue, room), ""),
    ]
    if not report.config.valid:
        facts.append(("config", f"not valid: {report.config.error or ''}", bad))
    if observed.gone is not None:
        facts = [(name, text, "dim") for name, text, _ in facts]
    return [
        first._replace(text=cut(first.text, width)),
        *(Line(_fact(name, text, width), style, name) for name, text, style in facts),
    ]


def _daemon(report: StatusReport) -> str:
    memory = "" if report.memory_bytes is None else f", {report.memory_bytes / _MB:.0f} MB"
    up = duration(report.uptime_s)
    return f"devsynthd {report.version}, pid {report.pid}, up {up}{memory}"


def _queue(queue: QueueStatus, room: int) -> str:
    """Return how many run and wait, in at most *room* columns if that is possible."""
    running, waiting = f"{queue.running} running", f"{queue.waiting} waiting"
    whole = f"{running} (at most {queue.max_concurrency}), {waiting}"
    short = f"{running}, {waiting}"
    least = f"{queue.running} run, {queue.waiting} wait"
    return next((text for text in (whole, short) if len(text) <= room), least)


def _fact(name: str, text: str, width: int) -> str:
    shown = "" if name == "error" else name  # it stands below the upstream
    begin = f"{shown:<{_NAME_WIDTH}}" if width >= _LEAST_NAMED else ""
    return cut(cell(begin + text), width)


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
    headed = room > 2  # noqa: PLR2004 - a row, and how many more
    kept = len(rows) if len(rows) < room else max(0, room - 1 - headed)
    headed = headed or kept == len(rows)
    widths = natural_widths(COLUMNS, rows)
    shown = fitted(widths, width, _GIVES_WAY)
    drawn = [Line(_joined(COLUMNS, shown, width), "bold")] if headed else []
    drawn += [Line(_joined(row, shown, width)) for row in rows[:kept]]
    if kept < len(rows):
        more = f"and {len(rows) - kept} more" if kept else f"{len(rows)} requests"
        drawn.append(Line(cut(f"{more}: devsynthctl ps", width), "dim"))
    return drawn


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


def _mishaps(mishaps: Sequence[Mishap], width: int, room: int) -> list[Line]:
    """Return the last mishaps in at most *room* lines, the newest first, below a heading.

    Each has a line, and the newest ones a second one, as long as there is room.
    """
    if not mishaps or room < _LEAST_MISHAPS:
        return []
    head = [Line(""), Line(cut("last errors", width), "bold")]
    told = list(reversed(mishaps))[: room - len(head)]
    spare = room - len(head) - len(told)
    drawn: list[Line] = []
    for each in told:
        text = _mishap(each, width)
        both = folded(text, width, _CLOCK_WIDTH) if spare else [cut(text, width)]
        spare -= len(both) - 1
        drawn += map(Line, both)
    return head + drawn


def _mishap(mishap: Mishap, width: int) -> str:
    what = shortened(cell(mishap.what), max(_LEAST_ID, width // 2))
    error = f"{mishap.error.code}: {mishap.error.message}"
    return cell(f"{clock(mishap.time)}  {what}: {error}")


def clock(time_s: float) -> str:
    """Return the local time of day at *time_s* (Unix time)."""
    return time.strftime("%H:%M:%S", time.localtime(time_s))
