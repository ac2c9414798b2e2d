"""A peer that speaks ZMTP by hand, as right or as wrong as a test wants it."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Self

MORE, LONG, COMMAND = 1, 2, 4


def greeting(mechanism: bytes = b"NULL", *, version: int = 3) -> bytes:
    """Return the greeting of ZMTP *version*, with a kind of security."""
    head = b"\xff" + bytes(8) + b"\x7f" + bytes((version, 0)) + mechanism.ljust(20, b"\0")
    return head.ljust(64, b"\0")


def frame(body: bytes, flags: int = 0) -> bytes:
    """Return *body* as a frame."""
    return announced(len(body), flags) + body


def announced(size: int, flags: int = 0) -> bytes:
    """Return the start of a frame whose body has *size* bytes."""
    return bytes((flags | LONG,)) + size.to_bytes(8)


def ready(socket_type: bytes) -> bytes:
    """Return the command that ends the handshake."""
    size = len(socket_type).to_bytes(4)
    body = b"\5READY\x0bSocket-Type" + size + socket_type
    return bytes((COMMAND, len(body))) + body  # libzmq takes no long ones here


class RawPeer:
    """A connection to the daemon's socket."""

    def __init__(self, path: Path, *said: bytes) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(10)
        self.socket.connect(str(path))
        self.say(b"".join(said))

    @classmethod
    def ready(cls, path: Path, socket_type: bytes = b"DEALER") -> Self:
        """Return one that has shaken hands: whoever says more before that is hung up on."""
        peer = cls(path, greeting(), ready(socket_type))
        peer.hear_until(b"ROUTER")
        return peer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def say(self, data: bytes) -> bool:
        """Send *data*; return whether anybody still listens."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.socket.sendall(data)
            return True
        return False

    def hear_until(self, part: bytes) -> bytes:
        """Return what comes until *part* has been in it."""
        heard = b""
        while part not in heard:
            data = self.socket.recv(2**16)
            assert data, f"the daemon hung up after {heard!r}"
            heard += data
        return heard

    def heard_until_the_end(self) -> bytes:
        """Return all that comes until the daemon hangs up."""
        heard = b""
        with suppress(ConnectionResetError):
            while data := self.socket.recv(2**16):
                heard += data
        return heard
