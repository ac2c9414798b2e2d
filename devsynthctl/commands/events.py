"""``events``: what happens in the daemon, as it happens."""

from typing import get_args

import click
import msgspec

from devsynthctl.app import App
from devsynthctl.news import News
from devsynthctl.options import as_json, ends_after
from devsynthctl.render.as_json import json_line
from devsynthctl.watching.follow import Back, Gone, follow
from devsynthctl.watching.told import tell_back
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import Topic

_TOPICS: tuple[Topic, ...] = get_args(Topic)


@click.command()
@click.argument("topics", nargs=-1, metavar="[TOPIC]...")
@ends_after
@as_json
@click.pass_obj
def events(app: App, *, topics: tuple[str, ...]) -> None:
    """Write what happens as JSON, a line an event, until Ctrl-C.

    TOPIC is models, upstream, config, requests or log; without one, all but log. A line has topic,
    time (in seconds since 1970), snapshot, missed and data. The first ones, of each topic but log,
    are snapshots: they tell how it is. missed counts the events that were left out because nobody
    read them fast enough. If the daemon goes away, the events go on when it is back, with snapshots
    again. With --timeout S, they end after S seconds, which is no error.
    """
    wanted = [_topic(name) for name in topics]
    with app.client(endless=True) as client:
        for each in follow(client, wanted or None, app.timeout_s):
            match each:
                case News():
                    app.print_now(event_line(each))
                case Gone():
                    app.tell_gone(each.error)
                case Back():
                    tell_back(app)
                case None:
                    app.check_reader()


def _topic(name: str) -> Topic:
    for each in _TOPICS:
        if each == name:
            return each
    near = nearest(name, _TOPICS)
    raise click.UsageError(
        f"there is no topic {name}"
        + (f": did you mean {near}?" if near else f"; there are {', '.join(_TOPICS)}")
    )


def event_line(news: News) -> str:
    """Return *news* as a line of JSON, with all that came in it."""
    return json_line(
        {
            "topic": news.topic,
            "time": news.time,
            "snapshot": news.snapshot,
            "missed": news.missed,
            "data": msgspec.msgpack.decode(news.raw),
        }
    )
