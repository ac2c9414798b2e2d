"""The daemon asks its own socket who it is, as any client would."""

import asyncio
from collections.abc import Callable

import msgspec
import zmq

from devsynthd.wire.codec import DECODE_ERRORS, decode_reply, encode
from devsynthd.wire.replies import ReceivedResult
from devsynthd.wire.requests import Ping
from devsynthd.wire.results import Pong

INTERVAL_S = 60.0
ANSWER_S = 5.0
TRIES = 3
PER_WATCHDOG = 3  # checks in the time that the watchdog leaves: one may come late


class SocketLost(Exception):
    """Whoever connects to the daemon's socket does not reach this daemon."""


class SelfCheck:
    """Finds out whether clients still reach this daemon: its path may be another's by now.

    Args:
        dial: Returns a socket that is connected as a client's would be. It is closed here.
        instance: Who must answer.
        answer_s: How long one try may take, in seconds.
    """

    def __init__(
        self, dial: Callable[[], zmq.Socket[bytes]], instance: str, *, answer_s: float = ANSWER_S
    ) -> None:
        self._dial, self._instance, self._answer_s = dial, instance, answer_s

    async def run(self, interval_s: float, passed: Callable[[], None]) -> None:
        """Check every *interval_s* seconds, and call *passed* after each check, until cancelled.

        Raises:
            SocketLost: The check has failed.
        """
        while True:
            await asyncio.sleep(interval_s)
            await self.once()
            passed()

    async def once(self) -> None:
        """Check now. A machine that is busy, or has just woken up, gets a second chance.

        Raises:
            SocketLost: Another daemon answers, or nobody does.
        """
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(self._answer_s):
                    body = await self._ask()
            except TimeoutError:
                continue
            if (instance := _who_answers(body)) != self._instance:
                raise SocketLost(f"another process answers at its socket (instance {instance})")
            return
        raise SocketLost(f"its socket did not answer {TRIES} times, {self._answer_s:g} s each")

    async def _ask(self) -> bytes:
        """Return the answer to a ``ping``."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        with self._dial() as socket:
            loop.add_reader(socket.fileno(), readable.set)
            try:
                socket.send(encode(Ping(id=0)), zmq.NOBLOCK)
                while True:
                    readable.clear()  # first: the descriptor tells changes only
                    try:
                        return socket.recv(zmq.NOBLOCK)
                    except zmq.Again:
                        await readable.wait()
            finally:
                loop.remove_reader(socket.fileno())


def _who_answers(body: bytes) -> str:
    """Return whose answer *body* is: an instance, or that it is not a daemon's."""
    try:
        reply = decode_reply(body)
        if isinstance(reply, ReceivedResult):
            return msgspec.msgpack.decode(reply.result, type=Pong).instance
    except DECODE_ERRORS:
        pass
    return "unknown"
