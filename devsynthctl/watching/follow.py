"""News of one daemon after the other, as they come and go at an address."""

import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from devsynthctl.client import Client
from devsynthctl.errors import ConnectionLost, DaemonUnreachable, NoAnswer
from devsynthctl.news import News
from devsynthctl.subscription import Subscription
from devsynthd.wire.errors import DevsynthError, ShuttingDown
from devsynthd.wire.requests import Topic

TICK_S = 1.0
"""After how long, as a rule, it is said that nothing has happened."""

LOOK_S = 0.2
"""Between two looks whether a daemon is back."""

_GOES_AWAY = (ConnectionLost, NoAnswer, ShuttingDown)
IS_AWAY = (*_GOES_AWAY, DaemonUnreachable)
"""The errors of a daemon that is not there, or not for long."""


class Gone(NamedTuple):
    """The daemon has gone away, which *error* tells; the next news are of another one."""

    error: DevsynthError


class Back(NamedTuple):
    """A daemon is there again: the next news are its first ones."""


def follow(
    client: Client,
    topics: Sequence[Topic] | None,
    for_s: float | None = None,
    *,
    tick_s: float = TICK_S,
) -> Iterator[News | Gone | Back | None]:
    """Yield the news of *topics* (null: of all but ``log``) for *for_s* seconds; null: no end.

    Yields null when nothing has come for *tick_s*, and while no daemon is there every `LOOK_S`.
    Each daemon tells first how it is, in snapshots. `Gone` comes once, however often a daemon that
    hangs is tried, and `Back` before the first news after it.

    Raises:
        DevsynthError: There is no daemon at the beginning, or one says that it will not.
    """
    until = None if for_s is None else time.monotonic() + for_s
    subscription: Subscription | None = client.subscribe(topics)
    is_gone = False
    while until is None or time.monotonic() < until:
        if subscription is None:
            time.sleep(_at_most(LOOK_S, until))
            subscription = _subscribed(client, topics)
            yield None
            continue
        try:
            news = subscription.wait(_at_most(tick_s, until))
        except _GOES_AWAY as exc:
            subscription = None
            yield None if is_gone else Gone(exc)
            is_gone = True
        else:
            if is_gone and news:
                is_gone = False
                yield Back()
            yield news


def _subscribed(client: Client, topics: Sequence[Topic] | None) -> Subscription | None:
    try:
        return client.subscribe(topics)
    except IS_AWAY:
        return None


def _at_most(seconds: float, until: float | None) -> float:
    """Return *seconds*, or what is left of them at *until* (monotonic)."""
    return seconds if until is None else max(0.0, min(seconds, until - time.monotonic()))
