"""A router that listens, with a listener that notes what it is told, and clients of it."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import zmq
import zmq.asyncio

from devsynthd.transport.claim import Claim
from devsynthd.transport.outboxes import STALL_S
from devsynthd.transport.peer import Frames, Peer
from devsynthd.transport.router import Router
from devsynthd.transport.shedding import MAX_GROWTH_BYTES

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
        self.refusals: asyncio.Queue[tuple[Peer, bytes, int, bool]] = asyncio.Queue()
        self.departures: asyncio.Queue[Peer] = asyncio.Queue()
        self.stalls: asyncio.Queue[Peer] = asyncio.Queue()
        self.recoveries: asyncio.Queue[Peer] = asyncio.Queue()
        self.waiting: set[Peer] = set()
        self.clients: list[int] = []  # each number that was told

    def connected(self, clients: int) -> None:
        self.clients.append(clients)

    def received(self, peer: Peer, frames: Frames) -> None:
        self.messages.put_nowait((peer, frames))

    def too_large(self, peer: Peer, start: bytes, size_bytes: int, *, delimiter: bool) -> None:
        self.refusals.put_nowait((peer, start, size_bytes, delimiter))

    def is_waiting(self, peer: Peer) -> bool:
        return peer in self.waiting

    def writable(self, peer: Peer) -> None:
        self.recoveries.put_nowait(peer)

    def unread(self, peer: Peer, *, delimiter: bool) -> None:
        pass

    def stalled(self, peer: Peer) -> None:
        self.stalls.put_nowait(peer)

    def left(self, peer: Peer) -> None:
        self.departures.put_nowait(peer)


@contextlib.asynccontextmanager
async def listening(
    path: Path, *, stall_s: float = STALL_S, claim: Claim | None = None
) -> AsyncIterator[Recorder]:
    """Run a router on *path* until the end of the block."""
    recorder = Recorder()
    with routing(recorder, path, stall_s=stall_s, claim=claim):
        yield recorder


@contextlib.contextmanager
def routing(
    recorder: Recorder,
    path: Path,
    *,
    stall_s: float = STALL_S,
    max_body_bytes: int = MAX_MESSAGE_BYTES,
    max_growth_bytes: int = MAX_GROWTH_BYTES,
    claim: Claim | None = None,
) -> Iterator[Router]:
    """Run a router on *path*, which is claimed or has the *claim*, until the end of the block."""
    router = Router(
        recorder,
        max_message_bytes=MAX_MESSAGE_BYTES,
        max_body_bytes=max_body_bytes,
        max_growth_bytes=max_growth_bytes,
        stall_s=stall_s,
    )
    with contextlib.ExitStack() as exits:
        held = claim or exits.enter_context(Claim(path))
        exits.callback(router.close)
        router.serve(f"ipc://{path}", held.listen())
        yield router


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
