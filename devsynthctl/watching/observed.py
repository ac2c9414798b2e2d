"""How the daemon is at the moment, and what has gone wrong lately."""

import contextlib
import time
from collections.abc import Iterator

from msgspec import Raw, Struct, structs

from devsynthctl.call import UNSENT, read_result
from devsynthctl.client import Client
from devsynthctl.news import News
from devsynthctl.render.requests import NO_WORK, name
from devsynthctl.watching.follow import Gone, at_most, follow, later, left_s
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.events import RequestsNews
from devsynthd.wire.objects import Failure, Source
from devsynthd.wire.requests import Status, Topic
from devsynthd.wire.results import Models, StatusReport

TOPICS: tuple[Topic, ...] = ("models", "upstream", "config", "requests")

POLL_S = 1.0
"""How often the daemon is asked how it is while nothing happens: speeds change all the time."""

PAUSE_S = 0.1
"""The shortest time between two such questions, however much happens."""

KEPT_MISHAPS = 5

_STATUS_TIMEOUT_S = 1.0
_TICK_S = 0.2


class Mishap(Struct, frozen=True):
    """Something that went wrong with *what*, at *time* (Unix time in seconds)."""

    time: float
    what: str
    error: Failure


class Observed(Struct, frozen=True):
    """What is known: the last *status*, and since the beginning the last *mishaps*, newest last.

    *loaded* are the models that are known to be loaded. *gone* says why there is no daemon, if
    there is none.
    """

    status: Raw
    report: StatusReport
    loaded: tuple[str, ...] = ()
    mishaps: tuple[Mishap, ...] = ()
    gone: DevsynthError | None = None


def with_news(observed: Observed, news: News) -> Observed:
    """Return *observed* with what *news* tells of models and mishaps."""
    found: list[tuple[str, Failure]] = []
    match news.data:
        case Models(models=models):
            loaded = tuple(each.id for each in models if each.loaded)
            return structs.replace(observed, loaded=loaded)
        case Source(error=error) if error and not news.snapshot:
            found = [("upstream", error)]
        case RequestsNews(requests=requests) if not news.snapshot:
            work = (each for each in requests if each.op not in NO_WORK)
            failed = (each for each in work if each.state == "failed")
            found = [(name(each), each.error) for each in failed if each.error]
    mishaps = (*observed.mishaps, *(Mishap(news.time, what, error) for what, error in found))
    return structs.replace(observed, mishaps=mishaps[-KEPT_MISHAPS:])


def observe(client: Client, for_s: float | None = None) -> Iterator[Observed]:
    """Yield how the daemon is, whenever that changes and once a second; across its restarts.

    It ends after *for_s* seconds; null: never.

    Raises:
        DevsynthError: As `devsynthctl.watching.follow.follow`.
    """
    until = later(for_s)
    status, report = _ask(client, left_s(until))
    observed = Observed(status, report)
    asked, is_due = time.monotonic(), True
    for each in follow(client, TOPICS, left_s(until), tick_s=_TICK_S, has_met=True):
        before = observed
        match each:
            case Gone(error):
                observed = structs.replace(observed, gone=error)
            case News():
                observed, is_due = structs.replace(with_news(observed, each), gone=None), True
        since_s = time.monotonic() - asked
        if observed.gone is None and since_s >= (PAUSE_S if is_due else POLL_S):
            with contextlib.suppress(DevsynthError):  # if it goes away, the events tell
                status, report = _ask(client, at_most(_STATUS_TIMEOUT_S, until))
                observed = structs.replace(observed, status=status, report=report)
            asked, is_due = time.monotonic(), False
        if observed is not before:
            yield observed


def _ask(client: Client, timeout_s: float | None) -> tuple[Raw, StatusReport]:
    status = client.ask(Status(id=UNSENT), timeout=timeout_s)
    return status, read_result(status, StatusReport)
