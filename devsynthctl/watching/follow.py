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

REFUSED_S = 0.5
"""The same while one is there that shuts down: each look is a request that it refuses."""

IS_AWAY = (ConnectionLost, NoAnswer, ShuttingDown, DaemonUnreachable)
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
    has_met: bool = False,
) -> Iterator[News | Gone | Back | None]:
    """Yield the news of *topics* (null: of all but ``log``) for *for_s* seconds; null: no end.

    Yields null when nothing has come for *tick_s*, and while no daemon is there at each look for
    one. Each daemon tells first how it is, in snapshots. `Gone` comes once, however often a daemon
    that hangs is tried, and `Back` before the first news after it. *has_met*: one has answered
    before this, and is waited for if it is not there.

    *client* is to raise what a daemon says that shuts down, as `devsynthctl.app.App.client` has it
    do.

    Raises:
        DevsynthError: There is no daemon at the beginning, or one says that it will not.
    """
    until = later(for_s)
    subscription: Subscription | None = None
    is_gone = False
    while until is None or time.monotonic() < until:
        try:
            if subscription is None:
                client.connect(timeout=left_s(until))
                subscription = client.subscribe(topics)
                has_met = True
            news = subscription.wait(at_most(tick_s, until))
        except IS_AWAY as exc:
            if not has_met:
                raise
            subscription = None
            yield None if is_gone else Gone(exc)
            is_gone = True
            time.sleep(at_most(REFUSED_S if isinstance(exc, ShuttingDown) else LOOK_S, until))
            continue
        if is_gone and news:
            is_gone = False
            yield Back()
        yield news


def later(seconds: float | None) -> float | None:
    """Return the monotonic time *seconds* from now; null: never."""
    return None if seconds is None else time.monotonic() + seconds


def left_s(until: float | None) -> float | None:
    """Return how many seconds there are until then (monotonic); null: there is no end."""
    return None if until is None else max(0.0, until - time.monotonic())


def at_most(seconds: float, until: float | None) -> float:
    """Return *seconds*, or what is left of them at *until* (monotonic)."""
    left = left_s(until)
    return seconds if left is None else min(seconds, left)
