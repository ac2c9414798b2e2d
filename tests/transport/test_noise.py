"""Peers that do not speak ZeroMQ: nobody else notices them, and nothing of them stays."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from tests.transport.listening import client, greeting, listening

TLS_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(range(190))
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
# Of ZMTP 3.1, with the NULL mechanism.
GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x01" + b"NULL".ljust(20, b"\0") + bytes(32)

NOISE = [
    pytest.param(b"\xff" * 1000, id="the first byte of a greeting, again and again"),
    pytest.param(bytes(1000), id="zeros"),
    pytest.param(bytes(range(256)) * 4, id="all bytes"),
    pytest.param(TLS_HELLO, id="TLS"),
    pytest.param(HTTP, id="HTTP"),
    pytest.param(GREETING + b"\xff" * 1000, id="a greeting and then noise"),
    pytest.param(GREETING[:10], id="a greeting that stops"),
    pytest.param(GREETING, id="a greeting and no more"),
    pytest.param(b"", id="silence"),
]

CLOSES_IN_NOISE = """
import asyncio, socket, sys, threading
from pathlib import Path
from devsynthd.transport.claim import Claim
from devsynthd.transport.router import Router

path, noise = sys.argv[1], bytes.fromhex(sys.argv[2])
over = threading.Event()

class Listener:
    def __getattr__(self, name):
        return lambda *_: None

def disturb():
    while not over.is_set():
        with socket.socket(socket.AF_UNIX) as stranger:
            try:
                stranger.connect(path)
                stranger.sendall(noise)
            except OSError:
                pass

async def main():
    sys.setswitchinterval(0.0005)  # as in the daemon: else each step waits for all the threads
    for _ in range(15):
        router = Router(Listener(), max_message_bytes=1000, max_body_bytes=1000)
        with Claim(Path(path)) as claim:
            router.serve("ipc://" + path, claim.listen())
            for _ in range(10):
                await asyncio.sleep(0)
            router.close()

threads = [threading.Thread(target=disturb) for _ in range(4)]
for thread in threads:
    thread.start()
try:
    asyncio.run(main())
finally:
    over.set()
for thread in threads:
    thread.join()
print("closed 15 times")
"""


async def make_noise(path: Path, noise: bytes) -> None:
    """Connect, send *noise*, and wait until the other side has enough."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        writer.write(noise)
        await writer.drain()
        await reader.read()
    except ConnectionError:
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("noise", NOISE)
def test_noise_is_hung_up_on_and_disturbs_nobody(short_dir: Path, noise: bytes) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        async with listening(path) as recorder:
            with client(path) as socket:
                peer = await greeting(recorder, socket)
                strangers = asyncio.gather(*(make_noise(path, noise) for _ in range(30)))
                assert await greeting(recorder, socket) is peer
                await strangers

                assert await greeting(recorder, socket) is peer
                assert recorder.clients == [1]
                assert recorder.departures.empty()
                assert recorder.messages.empty()

    asyncio.run(scenario())


def test_strangers_who_say_nothing_are_not_counted(short_dir: Path) -> None:
    path = short_dir / "s"

    async def look_in() -> None:
        _, writer = await asyncio.open_unix_connection(path)
        writer.close()

    async def scenario() -> None:
        async with listening(path) as recorder:
            await asyncio.gather(*(look_in() for _ in range(100)))
            with client(path) as socket:
                await greeting(recorder, socket)
            await recorder.departures.get()
            assert recorder.clients == [1, 0]

    asyncio.run(scenario())


def test_noise_does_not_abort_a_closing_router(short_dir: Path) -> None:
    """Without a ZAP domain libzmq ends the whole process here: this noise does it."""
    outcome = subprocess.run(
        [sys.executable, "-c", CLOSES_IN_NOISE, str(short_dir / "s"), TLS_HELLO.hex()],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )

    assert (outcome.returncode, outcome.stdout) == (0, "closed 15 times\n"), outcome.stderr
