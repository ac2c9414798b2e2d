"""How the crowd of a soak reaches the daemon: sockets by hand, and the pipe of the command line."""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Protocol

import msgspec
import zmq
from zmq.utils.monitor import recv_monitor_message

from devsynthd.wire.replies import ReceivedReply
from devsynthd.wire.requests import RequestId
from tests.soak.entry import Entry
from tests.support.daemon import CTL

READ_BYTES = 2**16

Pollable = zmq.Socket[bytes] | int


class Connection(Protocol):
    """One client: a way to the daemon, and what it has in flight."""

    in_flight: dict[RequestId, Entry]
    slots_taken: int  # by generations and embeddings, and by who waits to ask again
    gone: bool

    @property
    def format(self) -> ModuleType:
        """What decodes its replies."""

    @property
    def checks_ops(self) -> bool:
        """Whether it refuses unknown ops itself, before the daemon has to."""

    @property
    def pollables(self) -> tuple[Pollable, ...]:
        """What tells that ``receive`` has something to say."""

    def send(self, entry: Entry) -> None:
        """Send the request of *entry*."""

    def receive(self) -> Iterator[ReceivedReply]:
        """Yield the replies that have come."""

    def is_lost(self) -> bool:
        """Return whether the daemon has hung up, and no more will come."""

    def leave(self) -> None:
        """Go without a word."""


class Dealt:
    """A DEALER by hand. Every fourth one talks JSON. It connects once: what is lost is lost."""

    checks_ops = False

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, number: int
    ) -> None:
        self.gone, self.slots_taken = False, 0
        self.in_flight: dict[RequestId, Entry] = {}
        self.format = msgspec.json if number % 4 == 0 else msgspec.msgpack
        self._socket = context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 0)
        self._socket.setsockopt(zmq.RCVHWM, 0)
        self._socket.setsockopt(zmq.RECONNECT_IVL, -1)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._socket.connect(endpoint)

    @property
    def pollables(self) -> tuple[Pollable, ...]:
        """The socket, and what tells of its end."""
        return (self._socket, self._monitor)

    def send(self, entry: Entry) -> None:
        """Send the request of *entry*."""
        self.in_flight[entry.id] = entry
        fields = {"op": entry.order.op, "id": entry.id, **entry.order.fields}
        with contextlib.suppress(zmq.Again):  # it is lost, and `is_lost` is about to say so
            self._socket.send(self.format.encode(fields), zmq.NOBLOCK)

    def receive(self) -> Iterator[ReceivedReply]:
        """Yield the replies that have come."""
        while not self.gone:
            try:
                body = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield self.format.decode(body, type=ReceivedReply)

    def is_lost(self) -> bool:
        """Return whether the connection has ended."""
        if self.gone or not self._monitor.poll(0):
            return False
        recv_monitor_message(self._monitor, zmq.NOBLOCK)
        return True

    def leave(self) -> None:
        """Close the socket without a word."""
        self.gone = True
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close(linger=0)


class Piped:
    """``devsynthctl pipe``: it tells by itself what was lost, and goes on with the next daemon."""

    checks_ops = True
    format = msgspec.json

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.gone, self.slots_taken = False, 0
        self.in_flight: dict[RequestId, Entry] = {}
        self._process = subprocess.Popen(
            [*CTL, "pipe"], env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin
        assert self._process.stdout
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._unread = b""
        self._has_ended = False

    @property
    def pollables(self) -> tuple[Pollable, ...]:
        """Its output."""
        return (self._stdout.fileno(),)

    def send(self, entry: Entry) -> None:
        """Write the line for *entry*."""
        self.in_flight[entry.id] = entry
        fields = {"op": entry.order.op, "id": entry.id, **entry.order.fields}
        self._stdin.write(msgspec.json.encode(fields) + b"\n")

    def receive(self) -> Iterator[ReceivedReply]:
        """Yield the lines that have come whole."""
        while not self.gone:
            data = self._stdout.read(READ_BYTES)
            if data is None:
                return
            if not data:
                self._has_ended = True
                return
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                yield msgspec.json.decode(line, type=ReceivedReply)

    def is_lost(self) -> bool:
        """Return whether the process has ended, which it never does by itself."""
        assert not self._has_ended, "a pipe has ended by itself"
        return False

    def leave(self) -> None:
        """Kill the process."""
        self.gone = True
        self._process.kill()
        self._process.wait()
        self._stdin.close()
        self._stdout.close()
