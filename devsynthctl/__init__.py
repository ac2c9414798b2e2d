"""Talk to devsynthd: ``Client`` for programs, ``devsynthctl`` for people and shells.

The names are loaded when they are first used, so that a command pays only for what it needs.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from devsynthctl.client import Client
    from devsynthctl.errors import ClientError, ConnectionLost, DaemonUnreachable, NoAnswer
    from devsynthctl.stream import Stream
    from devsynthd.wire.errors import DevsynthError

__all__ = [
    "Client",
    "ClientError",
    "ConnectionLost",
    "DaemonUnreachable",
    "DevsynthError",
    "NoAnswer",
    "Stream",
]

_HOMES = {
    "Client": "devsynthctl.client",
    "ClientError": "devsynthctl.errors",
    "ConnectionLost": "devsynthctl.errors",
    "DaemonUnreachable": "devsynthctl.errors",
    "DevsynthError": "devsynthd.wire.errors",
    "NoAnswer": "devsynthctl.errors",
    "Stream": "devsynthctl.stream",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
