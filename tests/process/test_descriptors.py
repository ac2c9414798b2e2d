"""The daemon when its descriptors run out: libzmq alone would end the process."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.process.conftest import asks
from tests.process.surroundings import after
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.upstream_server import UpstreamServer

LIMIT = 64
CROWD = 200


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[DaemonProcess]:
    within = after(f"ulimit -n {LIMIT}")
    with daemon_process(short_dir, environ=asks(upstream), within=within) as running:
        yield running


def descriptors(daemon: DaemonProcess) -> int:
    return len(list(Path(f"/proc/{daemon.process.pid}/fd").iterdir()))


def clients(daemon: DaemonProcess, exits: contextlib.ExitStack, count: int) -> list[Dealer]:
    dealers = []
    for number in range(count):
        dealers.append(exits.enter_context(contextlib.closing(Dealer(daemon.endpoint))))
        dealers[-1].send(op="ping", id=number)
    return dealers


def test_clients_that_find_no_room_wait_until_others_leave(daemon: DaemonProcess) -> None:
    with contextlib.ExitStack() as later, contextlib.ExitStack() as exits:
        first = clients(daemon, exits, 1)[0]
        assert first.receive()["type"] == "result"
        clients(daemon, exits, CROWD)
        daemon.wait_logged("too many files are open")
        assert descriptors(daemon) <= LIMIT

        (waiting,) = clients(daemon, later, 1)
        assert first.ask(op="generate", id="g", prompt="x")["result"]["text"] == "Hello world"
        assert not waiting.socket.poll(0)

        exits.close()
        assert waiting.receive()["type"] == "result"
        daemon.wait_logged("new clients are let in again")

    assert daemon.log().count("too many files are open") == 1
    assert daemon.ctl("shutdown").returncode == 0
    assert daemon.wait() == 0


def test_silent_strangers_who_take_all_room_lose_it(daemon: DaemonProcess) -> None:
    with contextlib.ExitStack() as exits, contextlib.closing(Dealer(daemon.endpoint)) as first:
        first.ask(op="ping", id=1)
        for _ in range(LIMIT):  # about half of them have to wait, for a second
            exits.enter_context(stranger(daemon.socket))
        daemon.wait_logged("too many files are open")

        assert first.ask(op="ping", id=2)["type"] == "result"
        with contextlib.closing(Dealer(daemon.endpoint)) as last:
            assert last.ask(op="ping", id=3)["type"] == "result"
        daemon.wait_logged("new clients are let in again")


def test_a_storm_of_connections_does_not_end_it(daemon: DaemonProcess) -> None:
    """Whoever accepts as fast as it can is over the limit before its event loop hears of it."""
    over = threading.Event()

    def storm() -> None:
        while not over.is_set():
            with contextlib.ExitStack() as exits:
                for _ in range(CROWD):
                    exits.enter_context(stranger(daemon.socket))

    threads = [threading.Thread(target=storm) for _ in range(4)]
    with contextlib.closing(Dealer(daemon.endpoint)) as dealer:
        dealer.ask(op="ping", id=0)
        for thread in threads:
            thread.start()
        try:
            for number in range(300):
                assert dealer.ask(op="list", id=number)["type"] == "result"
        finally:
            over.set()
        for thread in threads:
            thread.join()
        assert descriptors(daemon) <= LIMIT
    assert daemon.process.poll() is None


def stranger(path: Path) -> socket.socket:
    """Return a connection that says nothing; it may be in the backlog still."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(path))
    return connection
