"""How the daemon is, in words. Pure."""

from devsynthd.wire.objects import ConfigStatus, ModelCounts, RequestInfo, Source, Totals
from devsynthd.wire.results import StatusReport

_MINUTE_S = 60
_HOUR_S = 60 * _MINUTE_S
_DAY_S = 24 * _HOUR_S
_MB = 10**6


def status_text(report: StatusReport) -> str:
    """Return *report* as a block of lines for a person."""
    queue, selection = report.queue, report.selection
    lines = [
        ("daemon", f"devsynthd {report.version}, pid {report.pid}, up {duration(report.uptime_s)}"),
        ("socket", report.socket),
        *_config(report.config),
        ("upstream", source_text(report.source)),
        ("model", f"{selection.model or 'none'} ({selection.how}: {selection.reason})"),
        ("models", _models(report.models)),
        (
            "queue",
            f"{queue.running} running (at most {queue.max_concurrency}), {queue.waiting} waiting",
        ),
        *((f"  #{each.request}", _request(each)) for each in report.requests),
        ("so far", _totals(report.totals)),
    ]
    if report.memory_bytes is not None:
        lines.append(("memory", f"{report.memory_bytes / _MB:.0f} MB"))
    return "".join(f"{name:<10}{text}\n" for name, text in lines)


def _config(config: ConfigStatus) -> list[tuple[str, str]]:
    """Return the lines about the config file; the first has its name."""
    lines = [config.path if config.exists else f"{config.path} (not there: defaults)"]
    if not config.valid:
        lines += ["not in force, but what was before it:", *(config.error or "").splitlines()]
    if config.overrides:
        hidden = ", ".join(config.overrides)
        lines.append(f"hidden by the daemon's environment or flags: {hidden}")
    return [("config" if line is lines[0] else "", line) for line in lines]


def _models(counts: ModelCounts) -> str:
    """Return how many there are; of servers that do not tell it, none is known to be loaded."""
    loaded = f"{counts.loaded} of them loaded" if counts.loaded else "none known to be loaded"
    return f"{counts.total}, {loaded}" if counts.total else "none"


def flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """Return *value*, made of JSON-like values, as dotted names with their values as text.

    A list of plain values is one value, separated by commas; null is empty.
    """
    match value:
        case dict():
            return [
                pair
                for key, each in value.items()
                for pair in flat(each, f"{name}.{key}" if name else str(key))
            ]
        case list() if any(isinstance(each, dict | list) for each in value):
            return [pair for n, each in enumerate(value) for pair in flat(each, f"{name}.{n}")]
        case list():
            return [(name, ",".join(map(_plain, value)))]
        case _:
            return [(name, _plain(value))]


def duration(seconds: float) -> str:
    """Return *seconds* in the two largest units that matter."""
    whole = int(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    if whole < _DAY_S:
        return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
    return f"{whole // _DAY_S} d {whole % _DAY_S // _HOUR_S} h"


def _plain(value: object) -> str:
    if value is None:
        return ""
    return str(value).lower() if isinstance(value, bool) else str(value)


def source_text(source: Source) -> str:
    """Return where the models come from, and how that is, in a line."""
    state = "reachable" if source.reachable else "not reachable"
    embedded = source.provider == "embedded"
    text = "the embedded engine" if embedded else f"{source.provider} at {source.api_base}"
    text += f", {state}"
    if source.age_s is not None:
        text += f", list {'stale, ' if source.stale else ''}{duration(source.age_s)} old"
    return f"{text} ({source.error.code}: {source.error.message})" if source.error else text


def _totals(totals: Totals) -> str:
    return (
        f"{totals.requests} requests, {totals.generations} generations, {totals.tokens} tokens, "
        f"{sum(totals.errors.values())} errors, {totals.cancelled} cancelled"
    )


def _request(info: RequestInfo) -> str:
    place = "" if info.position is None else f" at {info.position}"
    model = f" {info.model}" if info.model else ""
    by = f", {info.client}" if info.client else ""
    pid = f" (pid {info.pid})" if info.pid is not None else ""
    return f"{info.op}{model}, {info.state}{place}{by}{pid}"
