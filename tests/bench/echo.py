"""The reference for round trips, a process of its own.

``python -m tests.bench.echo ADDRESS BYTES`` is a bare ROUTER that answers every message with so
many bytes. It writes a line when it is bound, and ends when its standard input does.
"""

import sys

import zmq

from tests.bench.child import end_with_parent


def main(address: str, reply_bytes: int) -> None:
    """Answer until the process ends."""
    reply = bytes(reply_bytes)
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(address)
    sys.stdout.write("bound\n")
    sys.stdout.flush()
    while True:
        peer, _ = router.recv_multipart()
        router.send_multipart([peer, reply])


if __name__ == "__main__":
    end_with_parent()
    main(sys.argv[1], int(sys.argv[2]))
