"""A signal's handler, which Python runs between any two steps, does not leave a client half-way."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from devsynthctl.connection import Connection, Disconnected
from devsynthctl.zmtp import OPENING

READY = OPENING.replace(b"DEALER", b"ROUTER")


class Wire(socket.socket):
    """A socket on which *interrupt* is called in the moment after something has left or come."""

    interrupt: Callable[[], None] | None = None

    def send(self, *args: object) -> int:
        sent = super().send(*args)  # type: ignore[arg-type]
        self._interrupted()
        return sent

    def recv(self, *args: object) -> bytes:
        data = super().recv(*args)  # type: ignore[arg-type]
        self._interrupted()
        return data

    def _interrupted(self) -> None:
        interrupt, self.interrupt = self.interrupt, None
        if interrupt:
            interrupt()


@pytest.fixture
def ends() -> Iterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    wire = Wire(fileno=ours.detach())
    wire.setblocking(False)  # noqa: FBT003 - its only argument
    with theirs, wire:
        yield wire, theirs


def made(wire: Wire, peer: socket.socket) -> Connection:
    connection = Connection(wire, None)
    peer.sendall(READY)
    assert connection.wait_until_made(1e12)
    return connection


def raise_it() -> None:
    raise KeyboardInterrupt


def test_what_may_have_left_is_not_sent_twice(ends: tuple[Wire, socket.socket]) -> None:
    wire, peer = ends
    with closing(made(wire, peer)) as connection:
        wire.interrupt = raise_it
        with pytest.raises(KeyboardInterrupt):
            connection.send(b"once", None)
        with pytest.raises(Disconnected):
            connection.send(b"another", None)
    assert peer.recv(1000).count(b"once") == 1


def test_it_is_known_that_what_has_come_may_be_lost(ends: tuple[Wire, socket.socket]) -> None:
    wire, peer = ends
    with closing(made(wire, peer)) as connection:
        peer.sendall(b"\0\4body")
        wire.interrupt = raise_it
        with pytest.raises(KeyboardInterrupt):
            connection.receive(None)
        assert connection.holds_bodies


def test_it_may_be_closed_in_the_middle(ends: tuple[Wire, socket.socket]) -> None:
    wire, peer = ends
    connection = made(wire, peer)
    wire.interrupt = connection.close
    connection.send(b"last words", None)
    with pytest.raises(Disconnected):
        connection.receive(None)
