"""A router on a socket that somebody else listens on for it."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.transport.claim import Claim
from tests.support.service_manager import listening_for_a_daemon
from tests.transport.listening import Recorder, client, greeting, routing


@pytest.fixture
def listener(short_dir: Path) -> Iterator[socket.socket]:
    with listening_for_a_daemon(short_dir / "s") as listener:
        yield listener


def test_who_connected_before_it_began_is_served(short_dir: Path, listener: socket.socket) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        with client(path) as early:
            await early.send(b"hello")
            recorder = Recorder()
            claim = Claim(path, inherited=os.dup(listener.fileno()))
            with claim, routing(recorder, path, claim=claim):
                peer, frames = await recorder.messages.get()
                peer.send([b"at last"])
                assert frames == [b"hello"]
                assert await early.recv() == b"at last"

    asyncio.run(scenario())


def test_the_next_router_on_it_serves_on(short_dir: Path, listener: socket.socket) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        for _ in range(3):
            recorder = Recorder()
            with (
                Claim(path, inherited=os.dup(listener.fileno())) as claim,
                routing(recorder, path, claim=claim),
                client(path) as dealer,
            ):
                await greeting(recorder, dealer)

    asyncio.run(scenario())
    assert path.is_socket(), "its file is not the router's to remove"
