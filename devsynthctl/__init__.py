"""Talk to devsynthd: ``Client`` and ``AsyncClient`` for programs, ``devsynthctl`` for people.

The names are loaded when they are first used, so that a command pays only for what it needs.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devsynthctl.aio import AsyncClient, AsyncStream, AsyncSubscription
    from devsynthctl.client import Client
    from devsynthctl.errors import (
        BadReply,
        ClientError,
        ConnectionLost,
        DaemonUnreachable,
        NoAnswer,
        UnknownError,
    )
    from devsynthctl.news import News
    from devsynthctl.stream import Stream
    from devsynthctl.subscription import Subscription
    from devsynthd.wire.errors import DevsynthError

__all__ = [
    "AsyncClient",
    "AsyncStream",
    "AsyncSubscription",
    "BadReply",
    "Client",
    "ClientError",
    "ConnectionLost",
    "DaemonUnreachable",
    "DevsynthError",
    "News",
    "NoAnswer",
    "Stream",
    "Subscription",
    "UnknownError",
]

_HOMES = {
    "AsyncClient": "devsynthctl.aio",
    "AsyncStream": "devsynthctl.aio",
    "AsyncSubscription": "devsynthctl.aio",
    "BadReply": "devsynthctl.errors",
    "Client": "devsynthctl.client",
    "ClientError": "devsynthctl.errors",
    "ConnectionLost": "devsynthctl.errors",
    "DaemonUnreachable": "devsynthctl.errors",
    "DevsynthError": "devsynthd.wire.errors",
    "News": "devsynthctl.news",
    "NoAnswer": "devsynthctl.errors",
    "Stream": "devsynthctl.stream",
    "Subscription": "devsynthctl.subscription",
    "UnknownError": "devsynthctl.errors",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
