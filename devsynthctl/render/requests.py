"""The requests that a daemon works on, as rows of a table and in words. Pure."""

from devsynthctl.render.text import cell
from devsynthd.wire.objects import RequestInfo

COLUMNS = ("number", "op", "state", "position", "model", "seconds", "client", "pid")
NAME_COLUMNS = frozenset({"model", "client"})
"""The columns that give way where there is too little room."""


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


def cancelled(info: RequestInfo) -> str:
    """Return the line that tells that the request *info* was cancelled."""
    what = ", ".join(filter(None, (info.op, info.model)))
    return cell(f"cancelled {info.request} ({what})") + "\n"
