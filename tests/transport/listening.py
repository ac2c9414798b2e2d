"""A router that listens, with a listener that notes what it is told, and clients of it."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import zmq
import zmq.asyncio

from devsynthd.transport.peer import Frames, Peer
from devsynthd.transport.router import STALL_S, Router

MAX_MESSAGE_BYTES = 4 * 2**20

CLIENT_PROCESS = """
import sys, zmq
socket = zmq.Context().socket(zmq.DEALER)
socket.connect(sys.argv[1])
socket.send(b"hello")
socket.recv()
"""


class Recorder:
    """A listener: what it is told can be awaited, each kind by itself, oldest first."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[Peer, Frames]] = asyncio.Queue()
        self.departures: asyncio.Queue[Peer] = asyncio.Queue()
        self.stalls: asyncio.Queue[Peer] = asyncio.Queue()
        self.recoveries: asyncio.Queue[Peer] = asyncio.Queue()
        self.clients: list[int] = []  # each number that was told

    def connected(self, clients: int) -> None:
        self.clients.append(clients)

    def received(self, peer: Peer, frames: Frames) -> None:
        self.messages.put_nowait((peer, frames))

    def writable(self, peer: Peer) -> None:
        self.recoveries.put_nowait(peer)

    def stalled(self, peer: Peer) -> None:
        self.stalls.put_nowait(peer)

    def left(self, peer: Peer) -> None:
        self.departures.put_nowait(peer)


@contextlib.asynccontextmanager
async def listening(path: Path, *, stall_s: float = STALL_S) -> AsyncIterator[Recorder]:
    """Run a router on *path* until the end of the block."""
    recorder = Recorder()
    with routing(recorder, path, stall_s=stall_s):
        yield recorder


@contextlib.contextmanager
def routing(
    recorder: Recorder, path: Path, *, stall_s: float = STALL_S, fd: int | None = None
) -> Iterator[Router]:
    """Run a router on *path*, or on *fd* which listens there, until the end of the block."""
    router = Router(recorder, max_message_bytes=MAX_MESSAGE_BYTES, stall_s=stall_s)
    try:
        router.bind(f"ipc://{path}", fd=fd)
        yield router
    finally:
        router.close()


@contextlib.contextmanager
def client(
    path: Path,
    *,
    identity: bytes = b"",
    socket_type: int = zmq.DEALER,
    receive_high_water: int = 0,
    connect: bool = True,
) -> Iterator[zmq.asyncio.Socket]:
    """Connect to the router on *path* until the end of the block."""
    context = zmq.asyncio.Context()
    socket = context.socket(socket_type)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RCVHWM, receive_high_water)
    if identity:
        socket.setsockopt(zmq.IDENTITY, identity)
    try:
        if connect:
            socket.connect(f"ipc://{path}")
        yield socket
    finally:
        socket.close()
        context.term()


@contextlib.contextmanager
def client_process(path: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a client that says hello and waits for one reply, in a process of its own."""
    process = subprocess.Popen([sys.executable, "-c", CLIENT_PROCESS, f"ipc://{path}"])
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def greeting(recorder: Recorder, socket: zmq.asyncio.Socket) -> Peer:
    """Have *socket* say hello and get an answer; return the peer that it is to the router."""
    await socket.send(b"hello")
    peer, frames = await recorder.messages.get()
    assert frames == [b"hello"]
    peer.send([b"welcome"])
    assert await socket.recv() == b"welcome"
    return peer
