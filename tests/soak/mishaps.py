"""What befalls a daemon: kills, signals, a server that goes away, strangers at its door."""

import contextlib
import itertools
import random
import socket
import threading
from pathlib import Path

from tests.soak.book import Book
from tests.soak.desk import Desk
from tests.soak.supervisor import Supervisor
from tests.soak.upstream import SoakUpstream

MAX_STRANGERS = 50

_ZMTP_GREETING = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL" + bytes(48)
_SAYINGS = (
    b"",
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),  # a TLS hello
    b"SSH-2.0-Scanner\r\n",
    b'{"op": "ping", "id": 1}\n',
    _ZMTP_GREETING[:11],
    _ZMTP_GREETING,
    _ZMTP_GREETING + b"\x04\xff" * 100,
    bytes(range(256)) * 64,
)


class Outage:
    """Now and then the upstream goes away, every third time it hangs."""

    def __init__(self, upstream: SoakUpstream, draw: random.Random, pause_s: float) -> None:
        self._upstream, self._draw, self._pause_s = upstream, draw, pause_s
        self._numbers = itertools.count(1)

    def step(self, over: threading.Event) -> None:
        """Have one outage."""
        if over.wait(self._pause_s * self._draw.uniform(0.5, 1.5)):
            return
        if next(self._numbers) % 3:
            self._upstream.be_away(over, self._draw.uniform(0.5, 4))
        else:
            self._upstream.hang(over, self._draw.uniform(0.5, 3))

    def close(self) -> None:
        """Nothing is held."""


class Killing:
    """``kill -9``, or SIGTERM: at any time, or when somebody has just asked to write a setting."""

    def __init__(
        self, supervisor: Supervisor, book: Book, draw: random.Random, pause_s: float
    ) -> None:
        self._supervisor, self._book, self._draw = supervisor, book, draw
        self._pause_s = pause_s

    def step(self, over: threading.Event) -> None:
        """Kill one."""
        if over.wait(self._pause_s * self._draw.uniform(0.5, 1.5)):
            return
        if self._draw.random() < 0.25:
            self._supervisor.restart()
            return
        if self._draw.random() < 0.7 and self._book.setting.wait(1):
            over.wait(self._draw.uniform(0, 0.02))
        self._supervisor.kill()

    def close(self) -> None:
        """Nothing is held."""


class Signals:
    """SIGHUP, and ``kill -9`` of the engine."""

    def __init__(self, supervisor: Supervisor, draw: random.Random) -> None:
        self._supervisor, self._draw = supervisor, draw

    def step(self, over: threading.Event) -> None:
        """Send one."""
        over.wait(self._draw.uniform(0.2, 2))
        if self._draw.random() < 0.25 and self._supervisor.kill_engine():
            return
        self._supervisor.hang_up()

    def close(self) -> None:
        """Nothing is held."""


class Strangers:
    """Who connects and does not speak the protocol; some stay and are silent."""

    def __init__(self, path: Path, desk: Desk, draw: random.Random) -> None:
        self._path, self._desk, self._draw = path, desk, draw
        self._there: list[socket.socket] = []

    def step(self, over: threading.Event) -> None:
        """Have some come, and some go."""
        for _ in range(self._draw.randint(1, 10)):
            stranger = socket.socket(socket.AF_UNIX)
            stranger.settimeout(1)
            self._there.append(stranger)
            with contextlib.suppress(OSError):  # it may be hung up on
                stranger.connect(str(self._path))
                stranger.sendall(self._draw.choice(_SAYINGS))
            self._desk.did("strangers")
        while len(self._there) > self._draw.randint(0, MAX_STRANGERS):
            self._there.pop(0).close()
        over.wait(self._draw.uniform(0, 1))

    def close(self) -> None:
        """Go."""
        for stranger in self._there:
            stranger.close()
