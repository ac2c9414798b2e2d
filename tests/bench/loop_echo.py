"""An echo as ``tests.bench.echo``, but on an event loop, as a daemon has one.

``python -m tests.bench.loop_echo ADDRESS BYTES``.
"""

import asyncio
import sys

import zmq

from tests.bench.child import end_with_parent

READABLE = int(zmq.POLLIN)


async def main(address: str, reply_bytes: int) -> None:
    """Answer until the process ends."""
    reply = bytes(reply_bytes)
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(address)

    def answer() -> None:
        while int(router.get(zmq.EVENTS)) & READABLE:
            peer, _ = router.recv_multipart()
            router.send_multipart([peer, reply])

    asyncio.get_running_loop().add_reader(router.fileno(), answer)
    answer()
    sys.stdout.write("bound\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    end_with_parent()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
