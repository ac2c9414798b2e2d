"""The ROUTER socket: frames in, frames out. Knows peers, no messages."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Collection
from typing import Protocol

import zmq

from devsynthd.host.limits import resident_bytes
from devsynthd.transport.admission import Admission
from devsynthd.transport.outboxes import STALL_S, Outboxes
from devsynthd.transport.peer import Frames, Peer
from devsynthd.transport.peers import Peers
from devsynthd.transport.poller_entry import PollerEntry
from devsynthd.transport.shedding import MAX_GROWTH_BYTES, Shedding
from devsynthd.transport.termination import terminate

HANDSHAKE_MS = 1000
RECEIVE_HIGH_WATER = 16
# Messages, not bytes: enough for a burst of chunks, few enough for replies of a megabyte.
SEND_HIGH_WATER = 64
# Messages read before they are answered, and all of them before other work of the loop has its
# turn. Mostly there is one. Of many, libzmq's thread sends the answers together, woken up once.
BURSTS = (1, 16, 16, 16, 16)
# Of one message; nothing limits them in libzmq. A millisecond's worth, and far more than a mistake.
MAX_FRAMES = 1024
LINGER_MS = 1000
TERMINATION_LIMIT_S = 2.0  # more than it lingers
START_BYTES = 64  # of a message that is too large: enough to see its encoding
SILENCE_S, SILENCE_LIMIT_S = 0.05, 0.5
# Plain numbers: operators of an enum's members take longer than what they are for.
_NOW, _MORE_NOW = int(zmq.NOBLOCK), int(zmq.NOBLOCK | zmq.SNDMORE)
_READABLE = int(zmq.POLLIN)

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Whoever is told what happens on the socket. Called on the event loop; must not raise."""

    def connected(self, clients: int) -> None:
        """The number of clients that have said something and are still there has changed."""

    def received(self, peer: Peer, frames: Frames) -> None:
        """*peer* sent a message; *frames* are those behind its routing id.

        Between the first and the last they are left empty: two are all that anybody may send.
        """

    def unread(self, peer: Peer, *, delimiter: bool) -> None:
        """*peer* sent a message that there is no memory for; before it came a *delimiter*, or none.

        It is lost.
        """

    def too_large(self, peer: Peer, start: bytes, size_bytes: int, *, delimiter: bool) -> None:
        """*peer* sent a frame of *size_bytes*, too many; its last one begins with *start*."""

    def writable(self, peer: Peer) -> None:
        """*peer* has read all that waited for it."""

    def is_waiting(self, peer: Peer) -> bool:
        """Return whether *peer* waits for an answer."""

    def stalled(self, peer: Peer) -> None:
        """*peer* has not read for too long, or lets too much pile up. Told again and again."""

    def left(self, peer: Peer) -> None:
        """The connection of *peer* has ended. Nothing more comes from it or reaches it."""


class Router:
    """Owns the socket, on the thread of the running event loop, from ``serve`` to ``close``."""

    def __init__(
        self,
        listener: Listener,
        *,
        max_message_bytes: int,
        max_body_bytes: int,
        max_growth_bytes: int = MAX_GROWTH_BYTES,
        stall_s: float = STALL_S,
    ) -> None:
        self._listener, self._max_body_bytes = listener, max_body_bytes
        self._loop = asyncio.get_running_loop()
        self._heard = 0  # messages, and each look at one that is endless
        self._is_skipping = False  # amid a message of too many parts
        self._outboxes = Outboxes(
            self._try, writable=listener.writable, stalled=listener.stalled, stall_s=stall_s
        )
        self._drain_due: asyncio.Handle | None = None
        self._is_draining = False
        self._held: list[tuple[Peer, Frames]] | None = None  # what is to be sent after a burst
        self._endpoint = ""
        self._own_ids, self._dialled = b"\1" + secrets.token_bytes(8), 0
        self._context = zmq.Context()
        self._socket = router = self._context.socket(zmq.ROUTER)
        router.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
        router.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a lost reply must be an error, not silence
        router.setsockopt(zmq.RCVHWM, RECEIVE_HIGH_WATER)
        router.setsockopt(zmq.SNDHWM, SEND_HIGH_WATER)
        router.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        router.setsockopt(zmq.LINGER, LINGER_MS)
        # Without a ZAP domain libzmq aborts the process when bytes that are not ZMTP arrive
        # while the socket closes.
        router.setsockopt(zmq.ZAP_DOMAIN, b"devsynthd")
        self._admission: Admission | None = None
        self._peers = Peers(
            router,
            self._own_ids,
            self._send,
            left=self._left,
            counted=listener.connected,
            accepted=self._accepted,
        )
        self._shedding = Shedding(
            resident_bytes,
            lambda: self._peers.connections,
            self._hang_up,
            max_growth_bytes=max_growth_bytes,
        )

    def serve(self, endpoint: str, listener: socket.socket) -> None:
        """Serve those who connect to *endpoint*, an ``ipc://`` address where *listener* listens.

        That is taken over, and closed in the end; its file is left to whoever made it.

        Raises:
            OSError: It cannot be done.
        """
        self._endpoint = endpoint
        given = os.dup(listener.fileno())  # it is libzmq's from here on
        self._socket.setsockopt(zmq.USE_FD, given)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as exc:
            raise OSError(exc.errno, exc.strerror) from exc
        self._admission = Admission(listener, PollerEntry.find(given))
        self._loop.add_reader(self._peers.fileno(), self._peers.read_news)
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._peers.read_news()  # the descriptors tell changes only, from the first look on
        self._drain()

    @property
    def is_shut(self) -> bool:
        """Whether nobody is let in for now: there are no descriptors left."""
        return self._admission is not None and self._admission.is_shut

    def dial(self) -> zmq.Socket[bytes]:
        """Return a DEALER that is connected to where the router listens, as a client would be.

        Whoever calls it closes it, before the router. It does not count as a client.
        """
        dealer = self._context.socket(zmq.DEALER)
        dealer.linger = 0
        self._dialled += 1  # each its own identity: the one before may not have been seen to leave
        dealer.setsockopt(zmq.ROUTING_ID, self._own_ids + self._dialled.to_bytes(8))
        dealer.connect(self._endpoint)
        return dealer

    async def flushed(self, but_for: Collection[object] = ()) -> None:
        """Wait until nothing waits for a slow peer, but for those that have stalled, and *but_for*.

        If one of these reads on, it is waited for as well.
        """
        await self._outboxes.flushed(but_for)

    async def fall_silent(self, silence_s: float = SILENCE_S) -> None:
        """Go on reading until nothing has come for *silence_s*: who just spoke is to get an answer.

        Unbinding first would keep newcomers out, and end the connections that there are.
        """
        give_up_at = self._loop.time() + SILENCE_LIMIT_S
        heard = -1
        while heard != self._heard and self._loop.time() < give_up_at:
            heard = self._heard
            await asyncio.sleep(silence_s)

    def close(self) -> None:
        """Close the socket; replies under way have a second to leave. Idempotent."""
        if self._socket.closed:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_reader(self._peers.fileno())
        if self._drain_due is not None:
            self._drain_due.cancel()
        self._outboxes.close()
        if self._admission is not None:
            self._admission.close()
        self._peers.close()
        self._socket.close()
        if not terminate(self._context, TERMINATION_LIMIT_S):
            logger.warning(
                "libzmq has not ended after %g s; going on without it", TERMINATION_LIMIT_S
            )

    # Receiving -----------------------------------------------------------------------------

    def _drain(self) -> None:
        """Read what is there. The socket's descriptor is edge-triggered: until it is empty."""
        self._drain_due = None
        self._is_draining = True
        try:
            for most in BURSTS:
                if self._is_skipping and not self._skip():
                    break
                self._read(most)
                # Sending may have consumed the edge that announces new messages.
                if not self._is_readable():
                    return
        finally:
            self._is_draining = False
        self._drain_soon()

    def _read(self, most: int) -> None:
        """Hand on what is there, not more than *most*, and send at once all that is said to it."""
        said: list[tuple[Peer, Frames]] = []
        self._held = said
        try:
            for _ in range(most):
                try:
                    routing_id = self._socket.recv(_NOW)
                except zmq.Again:
                    return
                self._receive(routing_id)
                if self._is_skipping:
                    return
        finally:
            self._held = None
            for peer, frames in said:
                self._send(peer, frames)

    def _receive(self, routing_id: bytes) -> None:
        """Hand on the message of which *routing_id* has just been read."""
        frame = self._socket.recv(_NOW, copy=False)
        parts = [frame]
        while frame.more:
            if len(parts) == MAX_FRAMES:
                self._is_skipping = True
                break
            frame = self._socket.recv(_NOW, copy=False)
            parts.append(frame)
        self._heard += 1
        peer = self._peers.sender(routing_id, frame)
        if peer is None:
            return
        if self._is_skipping:
            self._peers.end(peer)
            return
        count = len(parts)
        delimiter = count > 1 and not len(parts[0])
        # To copy what is refused anyway would take as long as some hundred answers.
        if (size := max(map(len, parts))) > self._max_body_bytes:
            start = bytes(parts[-1].buffer[:START_BYTES])
            self._listener.too_large(peer, start, size, delimiter=delimiter)
            return
        try:
            if count > 2:  # noqa: PLR2004 - to be refused: only their number is wanted
                frames = [parts[0].bytes, *[b""] * (count - 2), frame.bytes]
            else:
                frames = [part.bytes for part in parts]
        except MemoryError:
            self._listener.unread(peer, delimiter=delimiter)
        else:
            self._listener.received(peer, frames)

    def _skip(self) -> bool:
        """Drop parts of a message that has too many; return whether that was the last of them.

        Until then there is nothing else to read, but the loop has other work.
        """
        self._heard += 1  # those behind it are not silent
        recv = self._socket.recv
        for _ in range(MAX_FRAMES):
            if not recv(_NOW, copy=False).more:
                self._is_skipping = False
                return True
        return False

    def _is_readable(self) -> bool:
        return bool(int(self._socket.get(zmq.EVENTS)) & _READABLE)

    def _drain_soon(self) -> None:
        if self._drain_due is None:
            self._drain_due = self._loop.call_soon(self._drain)

    def _accepted(self) -> None:
        self._shedding.watch()
        if self._admission is not None:
            self._admission.accepted()

    def _hang_up(self, spares_waiting: bool) -> int:  # noqa: FBT001 - see Shedding
        return self._peers.hang_up(lambda peer: spares_waiting and self._listener.is_waiting(peer))

    def _left(self, peer: Peer) -> None:
        self._outboxes.forget(peer)
        self._listener.left(peer)

    # Sending -------------------------------------------------------------------------------

    def _send(self, peer: Peer, frames: Frames) -> None:
        if self._held is not None:
            self._held.append((peer, frames))
            return
        if peer.gone or self._socket.closed:
            return
        if (not peer.outbox and self._try(peer, frames)) or peer.gone:
            return
        self._outboxes.keep(peer, frames)

    def _try(self, peer: Peer, frames: Frames) -> bool:
        """Return whether *frames* left; a peer that is not there any more is forgotten."""
        try:
            self._socket.send(peer.routing_id, _MORE_NOW)
            for frame in frames[:-1]:
                self._socket.send(frame, _MORE_NOW)
            self._socket.send(frames[-1], _NOW)
        except zmq.Again:
            return False
        except zmq.ZMQError as exc:
            if exc.errno != zmq.EHOSTUNREACH:
                raise
            self._peers.forget(peer)
            return False
        finally:
            # Sending, in vain too, may have consumed the edge that announces new messages.
            if not self._is_draining and self._is_readable():
                self._drain_soon()
        return True
