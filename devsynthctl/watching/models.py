"""``models --watch``: the models, and what becomes of them."""

import contextlib
from collections.abc import Iterator

from msgspec import Raw, Struct, structs

from devsynthctl.app import App
from devsynthctl.call import UNSENT, read_result
from devsynthctl.client import Client
from devsynthctl.news import News
from devsynthctl.render.as_json import result_line
from devsynthctl.render.happenings import happenings
from devsynthctl.render.models import COLUMNS, Row, changes, row, stand_in
from devsynthctl.render.text import tab_separated
from devsynthctl.watching.follow import IS_AWAY, Back, Gone, at_most, follow, later, left_s
from devsynthctl.watching.told import tell_back
from devsynthd.wire.errors import DeadlineExceeded, DevsynthError, ShuttingDown
from devsynthd.wire.objects import Source
from devsynthd.wire.requests import List, Status, Topic
from devsynthd.wire.results import Models

_TOPICS: tuple[Topic, ...] = ("models", "upstream")
_STATUS_TIMEOUT_S = 1.0


class Listed(Struct, frozen=True):
    """The last list, also as it came; *gone* says why there is no daemon, if there is none.

    The source in *models* may be newer than the one in *raw*.
    """

    raw: Raw
    models: Models
    gone: DevsynthError | None = None

    def with_source(self, source: Source) -> "Listed":
        """Return the same list, as *source* has it now."""
        return structs.replace(self, models=structs.replace(self.models, source=source))


class _Sourced(Struct):
    """What of a status is shown beside a list."""

    source: Source


def watch_models(app: App, request: List) -> None:
    """Show what *request* asks for, now and whenever it changes."""
    with app.client(endless=True) as client:
        found = follow_list(client, request, app.timeout_s)
        if app.can_draw and not app.as_json:
            # A fifth of a second to import, so only for eyes.
            from devsynthctl.render.watched import screen  # noqa: PLC0415
            from devsynthctl.watching.screen import watch  # noqa: PLC0415

            watch(_aging(app, client, found), screen, client.close, color=app.color)
        else:
            _write(app, found)


def follow_list(
    client: Client, request: List, for_s: float | None
) -> Iterator[Listed | Gone | None]:
    """Yield the answer to *request* whenever it or its source changes, across daemons.

    Yields null while nothing happens, and ends after *for_s* seconds; null: never. `Gone` comes
    only before the first list, of a daemon that takes no requests any more.

    Raises:
        DevsynthError: As `devsynthctl.watching.follow.follow`.
    """
    until = later(for_s)
    listed: Listed | None = None
    with contextlib.suppress(ShuttingDown):  # the subscription is told so too
        listed = _ask(client, request, until)
    yield listed
    again = structs.replace(request, refresh=False)
    is_first = listed is None
    for each in follow(client, _TOPICS, left_s(until), has_met=True):
        match each:
            case Gone(error):
                listed = listed and structs.replace(listed, gone=error)
                yield listed or each
            case Back():
                listed, is_first = listed and structs.replace(listed, gone=None), True
            case News(data=Source() as source):
                listed = listed and listed.with_source(source)
                yield listed
            case News(topic="models", raw=raw):
                now = Listed(raw, read_result(raw, Models))
                if again.loaded or again.kind:
                    # The daemon knows best which of the models are meant.
                    try:
                        now = _ask(client, again, until)
                    except (*IS_AWAY, DeadlineExceeded):
                        continue  # the subscription is told so too, or it is over
                # Another daemon may count its generations anew.
                if listed is None or is_first or now.models.generation != listed.models.generation:
                    listed, is_first = now, False
                    yield listed
            case None:
                yield None


def _ask(client: Client, request: List, until: float | None) -> Listed:
    raw = client.ask(request, timeout=left_s(until))
    return Listed(raw, read_result(raw, Models))


def _aging(app: App, client: Client, found: Iterator[Listed | Gone | None]) -> Iterator[Listed]:
    """Yield what is *found*; while nothing happens, with the age that the list has by then."""
    until = later(app.timeout_s)
    listed: Listed | None = None
    for each in found:
        if isinstance(each, Gone):
            app.tell_gone(each.error)
            continue
        listed = each or listed
        if listed is None:
            continue
        if each is None and not listed.gone:
            # No event tells when the same list was fetched once more.
            with contextlib.suppress(DevsynthError):  # if it goes away, the events tell
                timeout_s = at_most(_STATUS_TIMEOUT_S, until)
                status = client.ask(Status(id=UNSENT), timeout=timeout_s)
                listed = listed.with_source(read_result(status, _Sourced).source)
        yield listed


def _write(app: App, found: Iterator[Listed | Gone | None]) -> None:
    """Write a header and the rows, then those that change; or as JSON, each list in a line."""
    known: Listed | None = None
    rows: list[Row] = []
    is_gone = False
    for each in found:
        match each:
            case None:
                app.check_reader()
            case Gone(error) | Listed(gone=DevsynthError() as error):
                is_gone = True
                app.tell_gone(error)
            case Listed(raw, models):
                if is_gone:
                    is_gone = False
                    tell_back(app)
                if app.as_json:
                    if known is None or raw is not known.raw:
                        app.print_now(result_line(raw))
                else:
                    now = list(map(row, models.models))
                    header = [] if known else [COLUMNS]
                    app.print_now(tab_separated([*header, *changes(rows, now)]))
                    _tell(app, models, known.models if known else None)
                    rows = now
                known = each


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
