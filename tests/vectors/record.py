"""Speaks a scene in both encodings and writes down what was said."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from devsynthd.wire.codec import Encoding
from tests.support.daemon import Dealer
from tests.vectors.likeness import differences
from tests.vectors.stage import Scene, set_up
from tests.vectors.vector import PLACE, UPSTREAM, Message, Vector, decode

Said = tuple[str, bytes]
"""Who spoke, and the bytes."""

_PORT = int(UPSTREAM.rpartition(":")[2])


class Recorder:
    """A client that writes down what both sides say, in one encoding."""

    def __init__(self, dealer: Dealer, encoding: Encoding) -> None:
        self._dealer, self._encoding = dealer, encoding
        self.said: list[Said] = []

    def send(self, value: Mapping[str, Any]) -> None:
        """Send *value*."""
        encode = msgspec.json if self._encoding is Encoding.JSON else msgspec.msgpack
        body = encode.encode(value)
        self.said.append(("client", body))
        self._dealer.socket.send(body)

    def receive(self) -> dict[str, Any]:
        """Return the next reply."""
        body = self._dealer.socket.recv()
        self.said.append(("daemon", body))
        return decode(body, self._encoding)


def recorded(scene: Scene) -> Vector:
    """Return *scene* as it is spoken now.

    Raises:
        OSError: The port or the folder of the recordings is taken.
        AssertionError: The two encodings do not say the same.
    """
    binary, text = (_said(scene, encoding) for encoding in (Encoding.MSGPACK, Encoding.JSON))
    assert len(binary) == len(text), "one encoding says more than the other"
    return Vector(about=scene.about, messages=list(map(_message, binary, text)))


def _said(scene: Scene, encoding: Encoding) -> list[Said]:
    folder = Path(PLACE)
    folder.mkdir(mode=0o700)
    try:
        with set_up(scene, folder, port=_PORT) as stage:
            recorder = Recorder(stage.daemon.dealer(), encoding)
            scene.play(stage, recorder)
            return recorder.said
    finally:
        shutil.rmtree(folder)


def _message(binary: Said, text: Said) -> Message:
    value, same = decode(binary[1], Encoding.MSGPACK), decode(text[1], Encoding.JSON)
    assert binary[0] == text[0]
    assert not list(differences(value, same)), (value, same)
    return Message(
        sender="client" if binary[0] == "client" else "daemon",
        value=value,
        msgpack=binary[1].hex(),
        json=text[1].hex(),
    )
