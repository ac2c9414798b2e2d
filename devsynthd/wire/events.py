"""What events tell: the ``data`` of an ``Event``, a struct a topic."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct

from devsynthd.wire.codec import Encoding
from devsynthd.wire.objects import RequestInfo, Source
from devsynthd.wire.requests import Topic
from devsynthd.wire.results import Models
from devsynthd.wire.text import named

MAX_DEPTH = 8
"""Maps and lists inside each other in what a line of the log has besides its text."""


class ConfigNews(Struct, frozen=True, kw_only=True):
    """Of ``config``: the keys whose values in force have changed, and whether the file is valid.

    In a snapshot *changed* is empty.
    """

    config_generation: int
    changed: tuple[str, ...]
    valid: bool
    error: str | None


class RequestsNews(Struct, frozen=True, kw_only=True):
    """Of ``requests``: in a snapshot all that are under way, else the one that has changed."""

    requests: tuple[RequestInfo, ...]


LogLevel = Literal["debug", "info", "warning", "error", "critical"]


class LogNews(Struct, frozen=True, kw_only=True):
    """Of ``log``: a line of the daemon's log, and what it has besides its text."""

    level: LogLevel
    message: str
    fields: dict[str, Any]


AnyNews = Models | Source | ConfigNews | RequestsNews | LogNews

NEWS_TYPES: dict[Topic, type[AnyNews]] = {
    "models": Models,
    "upstream": Source,
    "config": ConfigNews,
    "requests": RequestsNews,
    "log": LogNews,
}
"""The data of each topic's events."""

_ENCODERS: dict[Encoding, Callable[[object], bytes]] = {
    Encoding.MSGPACK: msgspec.msgpack.Encoder().encode,
    Encoding.JSON: msgspec.json.Encoder().encode,
}


def encode_news(news: AnyNews, encoding: Encoding) -> Raw:
    """Return *news* as the ``data`` of an ``Event`` that goes out in *encoding*.

    What *encoding* cannot carry, like a file's name that is no text, is told as ``plain`` does.
    """
    encode = _ENCODERS[encoding]
    try:
        return Raw(encode(news))
    except (UnicodeEncodeError, OverflowError):
        return Raw(encode(plain(msgspec.to_builtins(news))))


def plain(value: object, depth: int = MAX_DEPTH) -> Any:  # noqa: ANN401 - JSON is anything
    """Return *value* if both encodings can carry it, else the nearest that they can: its text.

    Maps and lists are gone through; what is more than *depth* of them inside each other is text.
    """
    match value:
        case None | bool() | float():
            return value
        case int() if -(2**63) <= value < 2**64:
            return int(value)  # an IntEnum is none on the wire
        case Mapping() if depth:
            return {plain(str(key)): plain(each, depth - 1) for key, each in value.items()}
        case list() | tuple() | set() | frozenset() if depth:
            return [plain(each, depth - 1) for each in value]
        case _:
            return named(value)
