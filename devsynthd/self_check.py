"""The daemon asks its own socket who it is, as any client would."""

import asyncio
from collections.abc import Callable
from typing import Protocol

import msgspec
import zmq

from devsynthd.host.limits import SHORTAGES
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


class Listening(Protocol):
    """Where the daemon listens."""

    @property
    def is_shut(self) -> bool:
        """Whether nobody is let in for now."""

    def dial(self) -> zmq.Socket[bytes]:
        """Return a socket that is connected as a client's would be. Whoever asks closes it."""


class SelfCheck:
    """Finds out whether clients still reach this daemon: its path may be another's by now.

    Args:
        listening: Where it is asked.
        instance: Who must answer.
        answer_s: How long one try may take, in seconds.
    """

    def __init__(self, listening: Listening, instance: str, *, answer_s: float = ANSWER_S) -> None:
        self._listening, self._instance, self._answer_s = listening, instance, answer_s

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

        While nobody is let in, there is nothing to find out.

        Raises:
            SocketLost: Another daemon answers, or nobody does.
        """
        for _ in range(TRIES):
            if self._listening.is_shut:
                break  # the question would wait outside like everybody: that tells nothing
            try:
                async with asyncio.timeout(self._answer_s):
                    body = await self._ask()
            except TimeoutError:
                continue
            except zmq.ZMQError as exc:
                if exc.errno not in SHORTAGES:
                    raise
                return  # no descriptor is left to ask with: the socket is none the worse for it
            if (instance := _who_answers(body)) != self._instance:
                raise SocketLost(f"another process answers at its socket (instance {instance})")
            return
        if not self._listening.is_shut:
            raise SocketLost(f"its socket did not answer {TRIES} times, {self._answer_s:g} s each")

    async def _ask(self) -> bytes:
        """Return the answer to a ``ping``."""
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        with self._listening.dial() as socket:
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
