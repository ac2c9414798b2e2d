"""A client that can stop reading, and calls that it makes."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Raw

from devsynthd.service.call import Call, Envelope, Frames
from devsynthd.wire.codec import Encoding
from devsynthd.wire.events import AnyNews, encode_news
from devsynthd.wire.requests import Request, Subscribe

DECODE: dict[Encoding, Callable[[bytes], Any]] = {
    Encoding.MSGPACK: msgspec.msgpack.decode,
    Encoding.JSON: msgspec.json.decode,
}


class Watcher:
    """A client that is sent at most *room* messages before it reads on."""

    uid: int | None = None
    pid: int | None = None
    is_req = False
    is_own = False

    def __init__(self, room: float = float("inf")) -> None:
        self.room = room
        self.sent: list[Frames] = []

    @property
    def writable(self) -> bool:
        return self.room > 0

    def send(self, frames: Frames) -> None:
        self.room -= 1
        self.sent.append(frames)

    def bodies(self) -> list[bytes]:
        """Return what it was sent since ``replies`` was called."""
        return [body for (body,) in self.sent]

    def replies(self, encoding: Encoding = Encoding.MSGPACK) -> list[dict[str, Any]]:
        """Return what it was sent since the last time."""
        bodies, self.sent = self.bodies(), []
        return [DECODE[encoding](body) for body in bodies]


class CountingEncode:
    """Encodes news, and notes in which encoding."""

    def __init__(self) -> None:
        self.encodings: list[Encoding] = []

    def __call__(self, news: AnyNews, encoding: Encoding) -> Raw:
        self.encodings.append(encoding)
        return encode_news(news, encoding)


def call_of(
    watcher: Watcher,
    request: Request | None = None,
    *,
    number: int = 1,
    encoding: Encoding = Encoding.MSGPACK,
) -> Call:
    """Return a call of *watcher* that has not been registered; by default a subscription."""
    request = request or Subscribe(id=number)
    return Call(Envelope(watcher, encoding, delimiter=False), request, number, number)
