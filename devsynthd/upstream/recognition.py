"""Which generation of LM Studio's API a server speaks, told by the shape of what it answers. Pure.

LM Studio answers unknown paths with status 200 and an ``error`` key: a status alone tells nothing.
Newer generations serve the older routes too: they are tried newest first.
"""

from enum import Enum
from http import HTTPStatus
from typing import Any, Literal

from msgspec import Struct

from devsynthd.upstream.failures import failure_of, has_error, loads
from devsynthd.upstream.lists import Body
from devsynthd.wire.errors import UpstreamAuth
from devsynthd.wire.objects import Api

GREETING_PATH = "/lmstudio-greeting"

LMStudioApi = Literal["lmstudio-v1", "lmstudio-v0", "openai"]


_NO_SUCH_ROUTE = {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED}


class Route(Struct, frozen=True):
    """Where a generation lists its models."""

    api: LMStudioApi
    path: str


V1 = Route("lmstudio-v1", "/api/v1/models")  # since 0.4.0
V0 = Route("lmstudio-v0", "/api/v0/models")  # since 0.3.6
OPENAI = Route("openai", "/v1/models")  # always, and every other server

NEWEST_FIRST = (V1, V0, OPENAI)


class Shape(Enum):
    """What an answer to a question for the models is."""

    LIST = "a list of that generation"
    AUTH = "a refusal: that route is there, but wants another API key"
    MISSING = "that route is not there"
    BROKEN = "something else: no reason to think anything of the route"


def routes_to_try(greeting: Body) -> tuple[Route, ...]:
    """Return where the models may be listed, by what ``GREETING_PATH`` answered.

    A server that wants a key even for its greeting may be LM Studio: then the newest route, which
    wants it too, settles the matter.
    """
    return NEWEST_FIRST if _greets(greeting) or _is_refused(greeting) else (OPENAI,)


def _greets(body: Body) -> bool:
    """Whether *body* is what LM Studio's own tools accept as its greeting."""
    value = loads(body.data)
    return (
        body.status == HTTPStatus.OK and isinstance(value, dict) and value.get("lmstudio") is True
    )


def _is_refused(body: Body) -> bool:
    failure = failure_of(body.status, body.content_type, body.data, address="")
    return isinstance(failure, UpstreamAuth)


def shape(route: Route, body: Body) -> Shape:
    """Return what *body* shows about *route*."""
    value = loads(body.data)
    if _lists(route.api, value):
        return Shape.LIST
    if _is_refused(body):
        return Shape.AUTH
    error = value.get("error") if isinstance(value, dict) else None
    is_unknown_path = isinstance(error, str) and error.startswith("Unexpected endpoint or method")
    return Shape.MISSING if is_unknown_path or body.status in _NO_SUCH_ROUTE else Shape.BROKEN


def _lists(api: Api, value: Any) -> bool:  # noqa: ANN401 - JSON is anything
    if not isinstance(value, dict) or has_error(value):
        return False
    key, needed = {
        "lmstudio-v1": ("models", ("key", "loaded_instances")),
        "lmstudio-v0": ("data", ("id", "state")),
    }.get(api, ("data", ("id",)))
    entries = value.get(key)
    # An empty list is a list. That of llama-server has ``models`` too, but not with these keys.
    return isinstance(entries, list) and all(
        isinstance(entry, dict) and all(name in entry for name in needed) for entry in entries
    )
