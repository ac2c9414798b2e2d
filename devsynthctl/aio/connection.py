"""One connection on an event loop: bodies out, bodies in, and the news that it has ended."""

import asyncio
import contextlib
import socket
import time
import weakref
from collections import deque
from collections.abc import Callable

from devsynthctl.connection import READ_BYTES, Disconnected, Foreign
from devsynthctl.zmtp import OPENING, Decoder, NotZmtp, framed


class Unsent:
    """A body that waits for a peer that reads; *sent* is done once it has left, or never will."""

    def __init__(self, frame: bytes) -> None:
        self.rest, self.has_begun = memoryview(frame), False
        self.sent: asyncio.Future[None] = asyncio.get_running_loop().create_future()


class Connection:
    """Hands on what comes, as soon as it comes, until the end.

    Knows no messages. Belongs to the event loop that it is made on.

    Args:
        wire: A stream socket that is connected and never waits. The connection closes it.
        on_body: Called with each body; may close the connection.
        on_end: Called once if the peer hangs up, after the last body.
    """

    def __init__(
        self,
        wire: socket.socket,
        on_body: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._wire, self._on_body, self._on_end = wire, on_body, on_end
        self._decoder = Decoder()
        self._outbox = deque([Unsent(OPENING)])
        self._settled, self._over = asyncio.Event(), asyncio.Event()
        self._has_ended = self._is_closed = self._waits_for_room = self._is_foreign = False
        weakref.finalize(self, wire.close)  # it would be complained of that it was left open
        self._loop.add_reader(wire, self._read)
        self._write_on()

    @property
    def is_made(self) -> bool:
        """Whether it is made, and is not known to have ended."""
        return self._decoder.is_made and not self._has_ended

    async def wait_until_made(self, until: float) -> bool:
        """Return true once the peer has spoken ZeroMQ, false if it has not at *until* (monotonic).

        Raises:
            Disconnected: It hung up, or speaks something else; or `close` was called.
        """
        if not await _set_by(self._settled, until):
            return False
        if not self.is_made:
            raise Foreign if self._is_foreign else Disconnected
        return True

    async def wait_until_over(self) -> None:
        """Wait, after the peer has hung up, until its last bodies are handed on."""
        await self._over.wait()

    def put(self, body: bytes) -> Unsent | None:
        """Send *body*, null, or put it into the line of those that the peer is to read first.

        Raises:
            Disconnected: The connection has ended; *body* was not sent.
        """
        unsent = Unsent(framed(body))
        self._outbox.append(unsent)
        self._write()
        return None if unsent.sent.done() else unsent

    def take_back(self, unsent: Unsent) -> bool:
        """Do not send what still waits; return false if it has been sent, or has begun to be."""
        if unsent.has_begun or unsent not in self._outbox:
            return False
        self._outbox.remove(unsent)
        return True

    def close(self) -> None:
        """Hang up; what was not sent or not handed on is dropped. Idempotent."""
        if self._is_closed:
            return
        self._is_closed = self._has_ended = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._wire)
            self._loop.remove_writer(self._wire)
            self._settled.set()
            self._over.set()
            for unsent in self._outbox:
                unsent.sent.cancel()
        self._outbox.clear()
        with contextlib.suppress(OSError):
            self._wire.shutdown(socket.SHUT_RDWR)  # a child of a fork may have it open, too
        self._wire.close()

    def _write(self) -> None:
        """Send what waits, as far as it goes.

        Raises:
            Disconnected: The connection has ended.
        """
        while self._outbox and not self._has_ended:
            first = self._outbox[0]
            try:
                count = self._wire.send(first.rest)
            except BlockingIOError:
                break
            except OSError:
                self._has_ended = True  # what has come before is still to be read
                break
            first.has_begun, first.rest = True, first.rest[count:]
            if not first.rest:
                self._outbox.popleft()
                if not first.sent.done():
                    first.sent.set_result(None)
        self._watch_for_room()
        if self._has_ended:
            raise Disconnected

    def _write_on(self) -> None:
        with contextlib.suppress(Disconnected):
            self._write()

    def _watch_for_room(self) -> None:
        """Have the loop write on, as long as something waits for that."""
        waits = bool(self._outbox) and not self._has_ended
        if waits and not self._waits_for_room:
            self._loop.add_writer(self._wire, self._write_on)
        elif self._waits_for_room and not waits:
            self._loop.remove_writer(self._wire)
        self._waits_for_room = waits

    def _read(self) -> None:
        try:
            data = self._wire.recv(READ_BYTES)
            bodies = self._decoder.feed(data) if data else None
        except BlockingIOError:
            return
        except OSError:
            bodies = None
        except NotZmtp:
            bodies, self._is_foreign = None, True
        if bodies is None:
            self.close()
            self._on_end()
            return
        if self._decoder.is_made:
            self._settled.set()
        for body in bodies:
            self._on_body(body)
            if self._is_closed:
                return


async def _set_by(event: asyncio.Event, until: float) -> bool:
    """Wait for *event*; return false if it is not set at *until* (monotonic)."""
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            await event.wait()
    except TimeoutError:
        return False
    return True
