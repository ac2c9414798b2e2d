"""One connection, several threads that read and one that sends: no sign of a body is lost."""

import contextlib
import queue
import threading
from collections.abc import Iterator
from pathlib import Path

import zmq

from devsynthctl.connection import Connection, HungUp, connect
from devsynthd.host.address import socket_address

BODIES = 1500
READERS = 3
LIMIT_S = 10.0


@contextlib.contextmanager
def echo(path: Path) -> Iterator[None]:
    """Send back what comes, until a body is empty."""
    context = zmq.Context()
    router = context.socket(zmq.ROUTER)
    router.bind(f"ipc://{path}")

    def answer() -> None:
        body = b"hello"
        while body:
            peer, body = router.recv_multipart()
            router.send_multipart([peer, body])

    thread = threading.Thread(target=answer)
    thread.start()
    yield
    thread.join()
    context.destroy(linger=0)


def test_whatever_comes_wakes_somebody(socket_path: Path) -> None:
    came: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    idle: list[None] = []
    address = socket_address(str(socket_path), {})

    def read(connection: Connection) -> None:
        with contextlib.suppress(HungUp):
            while True:
                for body in connection.receive(None):
                    came.put(body)

    with echo(socket_path), zmq.Context() as context:
        connection = connect(context, address, None, "", lambda: idle.append(None))
        readers = [threading.Thread(target=read, args=(connection,)) for _ in range(READERS)]
        for reader in readers:
            reader.start()
        for number in range(BODIES):
            burst = [b"%d %d" % (number, part) for part in range(1 + number % 3)]
            for body in burst:
                assert connection.send(body, None)
            assert {came.get(timeout=LIMIT_S) for _ in burst} == {*burst}
        connection.send(b"", None)
        assert came.get(timeout=LIMIT_S) == b""
        connection.close()
        for reader in readers:
            reader.join(LIMIT_S)

    assert idle == []  # nobody had to look by himself, after a second
