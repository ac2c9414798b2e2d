"""``models --watch``: the models, and what becomes of them."""

from collections.abc import Iterator

from msgspec import Raw, Struct, structs

from devsynthctl.app import App
from devsynthctl.call import read_result
from devsynthctl.client import Client
from devsynthctl.news import News
from devsynthctl.render.as_json import result_line
from devsynthctl.render.happenings import happenings
from devsynthctl.render.models import COLUMNS, Row, changes, row, stand_in
from devsynthctl.render.text import tab_separated
from devsynthctl.watching.follow import IS_AWAY, Gone, follow
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.requests import List
from devsynthd.wire.results import Models


class Listed(Struct, frozen=True):
    """The last list, also as it came; *gone* says why there is no daemon, if there is none."""

    raw: Raw
    models: Models
    gone: DevsynthError | None = None


def watch_models(app: App, request: List) -> None:
    """Show what *request* asks for, now and whenever it changes."""
    with app.client(endless=True) as client:
        found = follow_list(client, request, app.timeout_s)
        if app.can_draw and not app.as_json:
            # A fifth of a second to import, so only for eyes.
            from devsynthctl.render.watched import screen  # noqa: PLC0415
            from devsynthctl.watching.screen import watch  # noqa: PLC0415

            listed = (each for each in found if each is not None)
            watch(listed, screen, client.close, color=app.color)
        else:
            _write(app, found)


def follow_list(client: Client, request: List, for_s: float | None) -> Iterator[Listed | None]:
    """Yield the answer to *request* whenever the list changes, from one daemon to the next.

    Yields null while nothing happens, and ends after *for_s* seconds; null: never.

    Raises:
        DevsynthError: As `devsynthctl.watching.follow.follow`.
    """
    raw = client.ask(request)
    listed = Listed(raw, read_result(raw, Models))
    yield listed
    again = structs.replace(request, refresh=False)
    for each in follow(client, ["models"], for_s):
        match each:
            case Gone(error):
                listed = structs.replace(listed, gone=error)
                yield listed
            case News(raw=raw):
                if again.loaded or again.kind:
                    # The daemon knows best which of the models are meant.
                    try:
                        raw = client.ask(again)
                    except IS_AWAY:
                        continue  # the subscription is told so too
                known, listed = listed, Listed(raw, read_result(raw, Models))
                if known.gone or listed.models.generation != known.models.generation:
                    yield listed
            case None:
                yield None


def _write(app: App, found: Iterator[Listed | None]) -> None:
    """Write a header and the rows, then those that change; or as JSON, each list in a line."""
    known: Listed | None = None
    rows: list[Row] = []
    for listed in found:
        if listed is None:
            app.check_reader()
        elif listed.gone:
            app.tell_gone(listed.gone)
        elif app.as_json:
            app.print_now(result_line(listed.raw))
        else:
            now = list(map(row, listed.models.models))
            header = [] if known else [COLUMNS]
            app.print_now(tab_separated([*header, *changes(rows, now)]))
            _tell(app, listed.models, known.models if known else None)
            known, rows = listed, now


def _tell(app: App, now: Models, before: Models | None) -> None:
    """Tell on stderr what else there is to know, or has changed: the upstream, who stands in."""
    if before is None:
        app.warn(now.warnings)
    else:
        for line in happenings(now.source, before.source):
            app.note(line)
    who = stand_in(now.models, now.selection)
    if who and (before is None or now.selection != before.selection):
        app.note(who)
