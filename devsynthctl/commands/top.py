"""``top``: the daemon at work, live."""

import time

import click

from devsynthctl.app import App
from devsynthctl.client import Client
from devsynthctl.news import News
from devsynthctl.options import as_json, ends_after
from devsynthctl.render.as_json import result_line
from devsynthctl.render.happenings import happenings
from devsynthctl.render.text import cell
from devsynthctl.watching.follow import Back, Gone, follow
from devsynthctl.watching.observed import TOPICS, observe
from devsynthctl.watching.told import tell_back
from devsynthd.wire.events import AnyNews
from devsynthd.wire.requests import Topic


@click.command()
@ends_after
@as_json
@click.pass_obj
def top(app: App) -> None:
    """Show upstream, models, queue and running requests while they change, until q.

    Piped, it writes a line whenever something has happened: a request has ended, the upstream has
    gone or come, a model was loaded. With --json, it writes what `status` tells, a line a second,
    and at once when something changes. If the daemon goes away, it goes on when it is back. With
    --timeout S, it ends after S seconds, which is no error.
    """
    with app.client(endless=True) as client:
        if app.as_json:
            _write_status(app, client)
        elif app.can_draw:
            _draw(app, client)
        else:
            _write_lines(app, client)


def _draw(app: App, client: Client) -> None:
    # A fifth of a second to import, so only for eyes.
    from devsynthctl.render.top import screen  # noqa: PLC0415
    from devsynthctl.watching.screen import watch  # noqa: PLC0415

    watch(observe(client, app.timeout_s), screen, client.close, color=app.color)


def _write_status(app: App, client: Client) -> None:
    written, gone = None, None
    for observed in observe(client, app.timeout_s):
        app.check_reader()
        if observed.gone and not gone:
            app.tell_gone(observed.gone)
        gone = observed.gone
        if observed.status is not written:
            written = observed.status
            app.print_now(result_line(written))


def _write_lines(app: App, client: Client) -> None:
    known: dict[Topic, AnyNews] = {}
    for each in follow(client, TOPICS, app.timeout_s):
        match each:
            case News():
                clock = time.strftime("%H:%M:%S", time.localtime(each.time))
                found = happenings(each.data, known.get(each.topic))
                app.print_now("".join(f"{clock} {cell(line)}\n" for line in found))
                known[each.topic] = each.data
            case Gone():
                known.clear()  # the next one tells how it is from the beginning
                app.tell_gone(each.error)
            case Back():
                tell_back(app)
            case None:
                app.check_reader()
