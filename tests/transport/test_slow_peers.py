"""Clients that do not read: what waits for them is bounded, told, and lost only at the bound."""

import asyncio
from pathlib import Path

import zmq.asyncio

from devsynthd.transport.outboxes import MAX_OUTBOX_BYTES
from devsynthd.transport.peer import Peer
from devsynthd.transport.router import SEND_HIGH_WATER
from tests.transport.listening import client, listening

MESSAGE_BYTES = 64 * 2**10
BEYOND_THE_TRANSPORT = SEND_HIGH_WATER + 50


def numbered(number: int) -> bytes:
    return b"%08d" % number + bytes(MESSAGE_BYTES - 8)


def send_until_outbox(peer: Peer) -> int:
    """Send to *peer* until some messages wait in its outbox; return how many were sent."""
    sent = 0
    while len(peer.outbox) < 20:
        peer.send([numbered(sent)])
        sent += 1
    return sent


async def read_numbers(socket: zmq.asyncio.Socket, count: int) -> list[int]:
    return [int((await socket.recv())[:8]) for _ in range(count)]


def test_a_slow_peer_is_told_of_and_loses_nothing(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path, stall_s=0.1) as recorder:
            with client(path, receive_high_water=1) as socket:
                await socket.send(b"talk")
                peer, _ = await recorder.messages.get()
                sent = send_until_outbox(peer)
                assert not peer.writable
                assert await recorder.stalls.get() is peer

                assert await read_numbers(socket, sent) == list(range(sent))
                assert await recorder.recoveries.get() is peer
                assert peer.writable
                assert peer.outbox_bytes == 0

    asyncio.run(scenario())


def test_what_waits_for_a_peer_is_bounded(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path, receive_high_water=1) as socket:
                await socket.send(b"talk")
                peer, _ = await recorder.messages.get()
                while recorder.stalls.empty():
                    peer.send([bytes(MESSAGE_BYTES)])

                assert peer.outbox_bytes < MAX_OUTBOX_BYTES + MESSAGE_BYTES
                assert peer.outbox_bytes == sum(len(frame) for (frame,) in peer.outbox)

    asyncio.run(scenario())


def test_a_slow_peer_delays_nobody_else(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path, receive_high_water=1) as slow, client(path) as quick:
                await slow.send(b"talk")
                peer, _ = await recorder.messages.get()
                send_until_outbox(peer)
                await quick.send(b"hello")
                other, _ = await recorder.messages.get()
                for number in range(BEYOND_THE_TRANSPORT):
                    other.send([numbered(number)])

                numbers = await read_numbers(quick, BEYOND_THE_TRANSPORT)
                assert numbers == list(range(BEYOND_THE_TRANSPORT))
                assert not peer.writable

    asyncio.run(scenario())


def test_what_waits_for_a_peer_that_leaves_is_let_go(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path, receive_high_water=1) as socket:
                await socket.send(b"talk")
                peer, _ = await recorder.messages.get()
                send_until_outbox(peer)
            assert await recorder.departures.get() is peer
            assert not peer.outbox
            assert recorder.recoveries.empty()

    asyncio.run(scenario())
