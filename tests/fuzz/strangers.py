"""Bytes on the socket of a daemon below its messages: ZMTP, nearly, and others are served on."""

import contextlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from tests.fuzz.daemons import Fuzzed, fuzzed
from tests.fuzz.damage import torn
from tests.fuzz.requests import BODIES
from tests.fuzz.shapes import mostly
from tests.fuzz.target import Check, Target

SEND_S = 5.0

# Of ZMTP 3.1 (RFC 37), with the NULL mechanism.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)
MORE, LONG, COMMAND = 1, 2, 4


def frame(flags: int, body: bytes) -> bytes:
    """Return a frame as it goes over the wire."""
    if len(body) < 256:
        return bytes([flags, len(body)]) + body
    return bytes([flags | LONG]) + len(body).to_bytes(8) + body


def ready(**properties: bytes) -> bytes:
    """Return the command that ends the handshake."""
    told = b"".join(
        bytes([len(name)]) + name.encode() + len(value).to_bytes(4) + value
        for name, value in ((name.replace("_", "-"), each) for name, each in properties.items())
    )
    return frame(COMMAND, b"\x05READY" + told)


_HANDSHAKES = st.sampled_from(
    [
        GREETING + ready(Socket_Type=b"DEALER", Identity=b""),
        GREETING + ready(Socket_Type=b"DEALER", Identity=b"x" * 255),
        GREETING + ready(Socket_Type=b"REQ"),
        GREETING + ready(Socket_Type=b"PUB"),
        GREETING + ready(Identity=b"\0me", Peer_Address=b"0"),
        GREETING,
    ]
)
_COMMANDS = st.sampled_from(
    [
        *(b"\x04PING\0\x0a", b"\x04PONG", b"\x09SUBSCRIBE", b"\x06CANCEL", b"\x05ERROR\xff"),
        b"\x05READY",
        b"\xff",
        b"",
    ]
).map(lambda body: frame(COMMAND, body))
_HARMLESS = BODIES.filter(lambda body: b"shutdown" not in body)  # it would be obeyed
_FRAMES = st.builds(frame, st.sampled_from([0, MORE, 0, 8, 255]), mostly(_HARMLESS, st.just(b"")))
_HUGE = st.sampled_from([bytes([LONG]) + length.to_bytes(8) for length in (0, 2**26 + 1, 2**63)])
_TALK = st.lists(mostly(_FRAMES, _COMMANDS, _HUGE), max_size=4).map(b"".join)
_WHOLE = st.tuples(torn(_HANDSHAKES), torn(_TALK)).map(b"".join)


class Bystander:
    """A client of *daemon* that is served whatever others send."""

    def __init__(self, daemon: Fuzzed) -> None:
        self._daemon = daemon

    def check(self, noise: bytes) -> None:
        """Fail unless the daemon answers after a stranger has sent *noise*."""
        with socket.socket(socket.AF_UNIX) as stranger:
            stranger.settimeout(SEND_S)
            stranger.connect(str(self._daemon.process.socket))
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                stranger.sendall(noise)
        assert self._daemon.ask(op="ping", id=1)["type"] == "result"
        self._daemon.check_log()


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    environ = {"DEVSYNTH_LLM_PROVIDER": "openai", "DEVSYNTH_LLM_API_BASE": "http://127.0.0.1:1"}
    with fuzzed(folder, environ) as daemon:
        yield Bystander(daemon).check


STRANGERS = Target("strangers", mostly(_WHOLE, st.binary(max_size=300)), _opened, share=50)
