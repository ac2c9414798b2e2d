"""A recorded exchange, and its file."""

from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

from devsynthd.wire.codec import Encoding

FOLDER = Path(__file__).parent

UPSTREAM = "http://127.0.0.1:1234"
"""The address of LM Studio in every vector."""

PLACE = "/tmp/devsynth"  # noqa: S108 - a name in recorded bytes; made 0700 when one is recorded
"""The folder of the daemon's files in every vector."""


class Message(Struct, frozen=True, kw_only=True, rename={"sender": "from"}):
    """One message: who sent it, what it says, and its bytes (hex) in both encodings.

    Where times and the like differ from one recording to the next, *value* is that of MessagePack.
    """

    sender: Literal["client", "daemon"]
    value: dict[str, Any]
    msgpack: str
    json: str

    def body(self, encoding: Encoding) -> bytes:
        """Return its bytes in *encoding*."""
        return bytes.fromhex(self.json if encoding is Encoding.JSON else self.msgpack)


class Vector(Struct, frozen=True, kw_only=True):
    """An exchange on one connection: all messages of both sides, in their order."""

    about: str
    messages: list[Message]


def path_of(name: str) -> Path:
    """Return the file of the vector *name*."""
    return FOLDER / f"{name}.json"


def names() -> list[str]:
    """Return the names of all vectors."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def read(name: str) -> Vector:
    """Return the vector *name*."""
    return msgspec.json.decode(path_of(name).read_bytes(), type=Vector)


def write(name: str, vector: Vector) -> None:
    """Write *vector* as *name*."""
    text = msgspec.json.format(msgspec.json.encode(vector), indent=2)
    path_of(name).write_bytes(text + b"\n")


def decode(body: bytes, encoding: Encoding) -> dict[str, Any]:
    """Return what *body* says."""
    read_as = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode
    value: dict[str, Any] = read_as(body)
    return value
