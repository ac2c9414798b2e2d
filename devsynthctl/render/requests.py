"""The requests that a daemon works on, as rows of a table and in words. Pure."""

from devsynthctl.render.text import cell
from devsynthd.wire.objects import RequestInfo

COLUMNS = ("request", "op", "state", "position", "model", "seconds", "client", "pid")
NAME_COLUMNS = frozenset({"model", "client"})
"""Those whose text may be of any length."""

NO_WORK = frozenset({"subscribe", "cancel", "config_get", "config_set", "reload"})
"""The ops by which people watch and steer: not what a daemon works on for somebody."""

GIVES_WAY = (("client", 12), ("pid", 0), ("client", 0), ("position", 0), ("op", 0))
"""The columns that give way on a narrow terminal, in their order; 0 leaves one out."""


def row(info: RequestInfo) -> tuple[str, ...]:
    """Return the cells of one request, in the order of `COLUMNS`; what is not known is empty."""
    return (
        str(info.request),
        info.op,
        info.state,
        "" if info.position is None else str(info.position),
        info.model or "",
        "" if info.timing is None else f"{info.timing.total_s:.1f}",
        info.client or "",
        "" if info.pid is None else str(info.pid),
    )


def name(info: RequestInfo) -> str:
    """Return what the request *info* is called in a line: its number, its op and its model.

    The model is left out where the error tells it, which stands in the same line.
    """
    model = info.model or ""
    is_told = info.error is not None and model in info.error.message
    return " ".join(filter(None, (f"#{info.request}", info.op, "" if is_told else model)))


def cancelled(info: RequestInfo) -> str:
    """Return the line that tells that the request *info* was cancelled."""
    what = ", ".join(filter(None, (info.op, info.model)))
    return cell(f"cancelled {info.request} ({what})") + "\n"
