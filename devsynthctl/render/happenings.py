"""Events in words, a line each. Pure."""

from collections.abc import Iterator

from devsynthctl.render.requests import NO_WORK, name
from devsynthctl.render.status import source_text
from devsynthd.wire.events import AnyNews, ConfigNews, RequestsNews
from devsynthd.wire.objects import RequestInfo, Source
from devsynthd.wire.results import Models

_ENDS = ("done", "failed", "cancelled")


def happenings(news: AnyNews, before: AnyNews | None) -> list[str]:
    """Return what *news* tells that is worth a line; *before* is the last of the same topic."""
    match news:
        case Source():
            return list(_upstream(news, before if isinstance(before, Source) else None))
        case Models():
            return list(_models(news, before if isinstance(before, Models) else None))
        case ConfigNews(valid=False, error=error):
            return [f"the configuration file is not valid: {error}"]
        case ConfigNews(changed=changed) if changed:
            return [f"settings changed: {', '.join(changed)}"]
        case RequestsNews(requests=requests):
            work = (each for each in requests if each.op not in NO_WORK)
            return [_end(each) for each in work if each.state in _ENDS]
        case _:
            return []


def _upstream(source: Source, before: Source | None) -> Iterator[str]:
    if before is None or _essence(source) != _essence(before):
        yield f"upstream: {source_text(source)}"


def _essence(source: Source) -> tuple[object, ...]:
    return (source.provider, source.api_base, source.reachable, source.error)


def _models(now: Models, before: Models | None) -> Iterator[str]:
    selection = now.selection
    if before is None or selection != before.selection:
        yield f"model: {selection.model or 'none'} ({selection.how}: {selection.reason})"
    old, new = _loaded(before), _loaded(now)
    if loaded := [each for each in new if each not in old]:
        yield f"loaded: {', '.join(loaded)}"
    if unloaded := [each for each in old if each not in new]:
        yield f"no longer loaded: {', '.join(unloaded)}"


def _loaded(models: Models | None) -> list[str]:
    return [each.id for each in models.models if each.loaded] if models else []


def _end(info: RequestInfo) -> str:
    line = f"{name(info)}: {info.state}"
    if info.timing:
        line += f" {'in' if info.state == 'done' else 'after'} {info.timing.total_s:.1f} s"
        if info.timing.tokens_per_s is not None:
            line += f", {info.timing.tokens_per_s:.1f} tokens/s"
    return f"{line}: {info.error.code}: {info.error.message}" if info.error else line
