"""The ROUTER socket: frames in, frames out. Knows peers, no messages."""

import asyncio
import logging
import os
import secrets
from collections.abc import Collection
from typing import Protocol

import zmq
from zmq.utils.monitor import recv_monitor_message

from devsynthd.transport.peer import Frames, Peer, parse_peer_address

logger = logging.getLogger(__name__)

HANDSHAKE_MS = 1000
RECEIVE_HIGH_WATER = 16
# Messages, not bytes: enough for a burst of chunks, few enough for replies of a megabyte.
SEND_HIGH_WATER = 64
MAX_OUTBOX_BYTES = 16 * 2**20  # and one message more: however long an answer is, it has room
BATCH = 64  # messages read before other work of the loop has its turn
MIN_RETRY_S, MAX_RETRY_S = 0.002, 0.05
LONG_S, LONG_RETRY_S = 5.0, 1.0  # a reader may be suspended for hours: no reason to wake up often
STALL_S = 30.0
LINGER_MS = 1000
SILENCE_S, SILENCE_LIMIT_S = 0.05, 0.5


class Listener(Protocol):
    """Whoever is told what happens on the socket. Called on the event loop; must not raise."""

    def connected(self, clients: int) -> None:
        """The number of clients that have said something and are still there has changed."""

    def received(self, peer: Peer, frames: Frames) -> None:
        """*peer* sent a message; *frames* are those behind its routing id."""

    def writable(self, peer: Peer) -> None:
        """*peer* has read all that waited for it."""

    def stalled(self, peer: Peer) -> None:
        """*peer* has not read for too long, or lets too much pile up. Told again and again."""

    def left(self, peer: Peer) -> None:
        """The connection of *peer* has ended. Nothing more comes from it or reaches it."""


class Router:
    """Owns the socket, on the thread of the running event loop, from ``bind`` to ``close``."""

    def __init__(
        self, listener: Listener, *, max_message_bytes: int, stall_s: float = STALL_S
    ) -> None:
        self._listener, self._stall_s = listener, stall_s
        self._loop = asyncio.get_running_loop()
        self._peers: dict[bytes, Peer] = {}
        self._by_fd: dict[int, Peer] = {}
        self._connected: set[int] = set()  # descriptors
        self._clients = self._heard = 0
        self._slow: set[Peer] = set()
        self._stalled: set[Peer] = set()  # those that have not read for so long that it was logged
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._retry: asyncio.TimerHandle | None = None
        self._retry_s = MIN_RETRY_S
        self._moved_at = 0.0  # when a slow peer read last, or another one became slow
        self._drain_due: asyncio.Handle | None = None
        self._endpoint = ""
        self._own_ids, self._dialled = b"\1" + secrets.token_bytes(8), 0
        self._context = zmq.Context()
        self._socket = socket = self._context.socket(zmq.ROUTER)
        socket.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
        socket.setsockopt(zmq.ROUTER_MANDATORY, 1)  # a lost reply must be an error, not silence
        socket.setsockopt(zmq.RCVHWM, RECEIVE_HIGH_WATER)
        socket.setsockopt(zmq.SNDHWM, SEND_HIGH_WATER)
        socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        socket.setsockopt(zmq.LINGER, LINGER_MS)
        # Without a ZAP domain libzmq aborts the process when bytes that are not ZMTP arrive
        # while the socket closes.
        socket.setsockopt(zmq.ZAP_DOMAIN, b"devsynthd")
        self._monitor = socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED)

    def bind(self, endpoint: str, *, fd: int | None = None) -> None:
        """Listen on *endpoint*, an ``ipc://`` address, for this user only.

        *fd* is a socket that listens there already: it is taken over, and closed in the end, but
        its file is left to whoever made it.

        Raises:
            OSError: It cannot be done.
        """
        if fd is not None:
            self._socket.setsockopt(zmq.USE_FD, fd)
        self._endpoint = endpoint
        previous = os.umask(0o177)
        try:
            self._socket.bind(endpoint)
        except zmq.ZMQError as exc:
            raise OSError(exc.errno, exc.strerror) from exc
        finally:
            os.umask(previous)
        self._loop.add_reader(self._monitor.fileno(), self._read_monitor)
        self._loop.add_reader(self._socket.fileno(), self._drain)
        self._drain()

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
        self._stalled |= self._slow.intersection(but_for)
        self._look_if_all_sent()
        await self._all_sent.wait()

    async def fall_silent(self) -> None:
        """Go on reading until nothing has come for a moment: who just spoke is to get an answer.

        Unbinding first would keep newcomers out, and end the connections that there are.
        """
        give_up_at = self._loop.time() + SILENCE_LIMIT_S
        heard = -1
        while heard != self._heard and self._loop.time() < give_up_at:
            heard = self._heard
            await asyncio.sleep(SILENCE_S)

    def close(self) -> None:
        """Close the socket; replies under way have a second to leave. Idempotent."""
        if self._socket.closed:
            return
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_reader(self._monitor.fileno())
        for timer in (self._retry, self._drain_due):
            if timer is not None:
                timer.cancel()
        self._flush_slow()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)
        self._socket.close()
        self._context.term()

    # Receiving -----------------------------------------------------------------------------

    def _drain(self) -> None:
        """Read what is there. The socket's descriptor is edge-triggered: until it is empty."""
        self._drain_due = None
        for _ in range(BATCH):
            try:
                parts = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            # Whoever left before this was sent must be known to have left: descriptors and
            # identities are used again.
            self._read_monitor()
            self._heard += 1
            peer = self._peer(parts[0].bytes, parts[-1])
            if peer is not None:
                self._listener.received(peer, [part.bytes for part in parts[1:]])
        self._drain_soon()

    def _drain_soon(self) -> None:
        if self._drain_due is None:
            self._drain_due = self._loop.call_soon(self._drain)

    def _peer(self, routing_id: bytes, frame: zmq.Frame) -> Peer | None:
        """Return who sent *frame*, or none if that connection has ended already."""
        fd = int(frame.get(zmq.SRCFD))
        peer = self._peers.get(routing_id)
        if peer is not None and peer.fd == fd:
            return peer
        if fd not in self._connected:
            return None
        holder = self._by_fd.get(fd)
        if holder is not None:
            if not holder.is_older_than(routing_id):
                return None
            self._forget(holder)
        if peer is not None:  # the same identity on a new connection
            self._forget(peer)
        uid, pid = parse_peer_address(str(frame.get("Peer-Address")))
        peer = Peer(
            routing_id,
            self._send,
            fd=fd,
            uid=uid,
            pid=pid,
            socket_type=str(frame.get("Socket-Type")),
            is_own=routing_id.startswith(self._own_ids),
        )
        self._peers[routing_id] = self._by_fd[fd] = peer
        self._count(peer, 1)
        return peer

    def _read_monitor(self) -> None:
        while self._events(self._monitor) & zmq.POLLIN:
            event = recv_monitor_message(self._monitor)
            fd = event["value"]
            if event["event"] == zmq.EVENT_DISCONNECTED:
                self._connected.discard(fd)
                if peer := self._by_fd.get(fd):
                    self._forget(peer)
            elif event["event"] == zmq.EVENT_ACCEPTED:
                self._connected.add(fd)

    def _forget(self, peer: Peer) -> None:
        self._peers.pop(peer.routing_id, None)
        self._by_fd.pop(peer.fd, None)
        self._no_longer_slow(peer)
        peer.outbox.clear()
        if not peer.gone:
            peer.gone = True
            self._listener.left(peer)
            self._count(peer, -1)

    def _count(self, peer: Peer, change: int) -> None:
        if not peer.is_own:
            self._clients += change
            self._listener.connected(self._clients)

    # Sending -------------------------------------------------------------------------------

    def _send(self, peer: Peer, frames: Frames) -> None:
        if peer.gone or self._socket.closed:
            return
        if (not peer.outbox and self._try(peer, frames)) or peer.gone:
            return
        size = sum(map(len, frames))
        if peer.outbox_bytes >= MAX_OUTBOX_BYTES:
            if not peer.loses_replies:  # one line, however many they are
                logger.warning(
                    "pid %s does not read: its replies are dropped",
                    peer.pid,
                    extra={"fields": {"client_pid": peer.pid}},
                )
            peer.loses_replies = True
            self._listener.stalled(peer)
            return
        peer.outbox.append(frames)
        peer.outbox_bytes += size
        if peer.slow_since is None:
            peer.slow_since = self._loop.time()
        if peer not in self._slow:
            self._slow.add(peer)
            self._all_sent.clear()
            self._retry_in(MIN_RETRY_S)

    def _try(self, peer: Peer, frames: Frames) -> bool:
        """Return whether *frames* left; a peer that is not there any more is forgotten."""
        try:
            self._socket.send_multipart([peer.routing_id, *frames], zmq.NOBLOCK)
        except zmq.Again:
            return False
        except zmq.ZMQError as exc:
            if exc.errno != zmq.EHOSTUNREACH:
                raise
            self._forget(peer)
            return False
        finally:
            # Sending, in vain too, may have consumed the edge that announces new messages.
            if self._events(self._socket) & zmq.POLLIN:
                self._drain_soon()
        return True

    def _retry_slow(self) -> None:
        self._retry = None
        progress = self._flush_slow()
        now = self._loop.time()
        for peer in list(self._slow):
            if peer.slow_since is not None and now - peer.slow_since > self._stall_s:
                peer.slow_since = now
                if peer not in self._stalled:
                    logger.warning(
                        "pid %s has not read for %.0f s",
                        peer.pid,
                        self._stall_s,
                        extra={"fields": {"client_pid": peer.pid}},
                    )
                self._stalled.add(peer)
                self._look_if_all_sent()
                self._listener.stalled(peer)
        if progress:
            self._retry_in(MIN_RETRY_S)
        elif self._retry is None:
            longest_s = MAX_RETRY_S if now - self._moved_at < LONG_S else LONG_RETRY_S
            self._retry_after(min(longest_s, self._retry_s * 2))

    def _retry_in(self, delay_s: float) -> None:
        """Try again soon, since something has moved."""
        self._moved_at = self._loop.time()
        if self._retry is not None:
            self._retry.cancel()
        self._retry_after(delay_s)

    def _retry_after(self, delay_s: float) -> None:
        # By timer, not by POLLOUT: that stays true while any other peer could be written to.
        self._retry_s = delay_s
        self._retry = self._loop.call_later(delay_s, self._retry_slow) if self._slow else None

    def _flush_slow(self) -> bool:
        """Send what waits, as far as it goes; return whether anything left."""
        progress = False
        for peer in list(self._slow):
            while peer.outbox and self._try(peer, peer.outbox[0]):
                peer.outbox_bytes -= sum(map(len, peer.outbox.popleft()))
                peer.slow_since = self._loop.time()
                self._stalled.discard(peer)
                progress = True
            if not peer.outbox and not peer.gone:
                self._no_longer_slow(peer)
                peer.slow_since = None
                peer.loses_replies = False
                self._listener.writable(peer)
        self._look_if_all_sent()  # one that had stalled may be reading
        return progress

    def _no_longer_slow(self, peer: Peer) -> None:
        self._slow.discard(peer)
        self._stalled.discard(peer)
        self._look_if_all_sent()

    def _look_if_all_sent(self) -> None:
        if self._slow <= self._stalled:
            self._all_sent.set()
        else:
            self._all_sent.clear()

    @staticmethod
    def _events(socket: zmq.Socket[bytes]) -> int:
        return int(socket.get(zmq.EVENTS))
