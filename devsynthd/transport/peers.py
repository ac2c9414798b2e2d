"""Who is at the other ends of a ROUTER: which connection a message came by, and which have ended.

The socket's monitor tells of connections by their descriptors, a message tells both descriptor and
routing id.
"""

import logging
import os
import socket
import struct
from collections.abc import Callable
from contextlib import suppress

import zmq

from devsynthd.transport.peer import Peer, Send, parse_peer_address

logger = logging.getLogger(__name__)

_READABLE = int(zmq.POLLIN)
_EVENT = struct.Struct("=Hi")  # zmq_socket_monitor(3). pyzmq's own reader brings zmq.asyncio along


class Peers:
    """The connections of *socket* that have said something and have not ended.

    Args:
        socket: A ROUTER that is not bound yet.
        own_ids: What the identities of the daemon's own connections begin with.
        send: How messages to a peer leave.
        left: Called once for each peer whose connection has ended.
        counted: Told the number of peers, without the daemon's own, whenever it changes.
        accepted: Called after each try to accept a connection.
    """

    def __init__(
        self,
        socket: zmq.Socket[bytes],
        own_ids: bytes,
        send: Send,
        *,
        left: Callable[[Peer], None],
        counted: Callable[[int], None],
        accepted: Callable[[], None],
    ) -> None:
        self._own_ids, self._send = own_ids, send
        self._left, self._counted, self._accepted = left, counted, accepted
        self._by_id: dict[bytes, Peer] = {}
        self._by_fd: dict[int, Peer] = {}
        self._connected: set[int] = set()  # descriptors
        self._clients = 0
        self._socket = socket
        self._monitor = socket.get_monitor_socket(
            zmq.EVENT_ACCEPTED | zmq.EVENT_ACCEPT_FAILED | zmq.EVENT_DISCONNECTED
        )

    def fileno(self) -> int:
        """Return a descriptor that becomes readable when there is news."""
        return int(self._monitor.fileno())

    def sender(self, routing_id: bytes, frame: zmq.Frame) -> Peer | None:
        """Return who sent the message of *frame*, or none if that connection has ended already."""
        peer = self._by_id.get(routing_id)
        if peer is not None and peer.is_numbered and peer.fd == frame.get(zmq.SRCFD):
            return peer
        # Whoever left before this was sent must be known to have left: descriptors and chosen
        # identities are used again, the ROUTER's own numbers are not.
        self.read_news()
        return self._known_or_new(routing_id, frame)

    def read_news(self) -> None:
        """Take in what the monitor tells."""
        while int(self._monitor.get(zmq.EVENTS)) & _READABLE:
            event, fd = _EVENT.unpack(self._monitor.recv())
            self._monitor.recv()  # the endpoint
            if event == zmq.EVENT_DISCONNECTED:
                self._connected.discard(fd)
                if peer := self._by_fd.get(fd):
                    self.forget(peer)
            else:
                if event == zmq.EVENT_ACCEPTED:
                    self._connected.add(fd)
                self._accepted()

    def forget(self, peer: Peer) -> None:
        """Note that the connection of *peer* has ended."""
        self._by_id.pop(peer.routing_id, None)
        self._by_fd.pop(peer.fd, None)
        if not peer.gone:
            peer.gone = True
            self._left(peer)
            self._count(peer, -1)

    @property
    def connections(self) -> int:
        """How many there are, whether or not they have said anything."""
        return len(self._connected)

    def hang_up(self, spared: Callable[[Peer], bool]) -> int:
        """End all connections but the daemon's own and those *spared*; return how many."""
        self.read_news()  # a descriptor may be another file's by now
        ended = 0
        for fd in self._connected:
            peer = self._by_fd.get(fd)
            if peer is None or not (peer.is_own or spared(peer)):
                ended += _shut(fd)
        return ended

    def end(self, peer: Peer) -> None:
        """End the connection of *peer*, which is forgotten once that has happened."""
        self.read_news()  # its descriptor may be another file's by now
        if not peer.gone and _shut(peer.fd):
            logger.warning(
                "hung up on a client (uid %s, pid %s): its message has too many parts",
                peer.uid,
                peer.pid,
            )

    def close(self) -> None:
        """Stop listening to the monitor."""
        self._connected.clear()
        self._socket.disable_monitor()
        self._monitor.close(linger=0)

    def _known_or_new(self, routing_id: bytes, frame: zmq.Frame) -> Peer | None:
        fd = int(frame.get(zmq.SRCFD))
        peer = self._by_id.get(routing_id)
        if peer is not None and peer.fd == fd:
            return peer
        if fd not in self._connected:
            return None
        holder = self._by_fd.get(fd)
        if holder is not None:
            if not holder.is_older_than(routing_id):
                return None
            self.forget(holder)
        if peer is not None:  # the same identity on a new connection
            self.forget(peer)
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
        self._by_id[routing_id] = self._by_fd[fd] = peer
        self._count(peer, 1)
        return peer

    def _count(self, peer: Peer, change: int) -> None:
        if not peer.is_own:
            self._clients += change
            self._counted(self._clients)


def _shut(fd: int) -> bool:
    """End the connection *fd*, which is libzmq's to close; return whether it was one."""
    with suppress(OSError), socket.socket(fileno=os.dup(fd)) as connection:
        if connection.family == socket.AF_UNIX:
            connection.shutdown(socket.SHUT_RDWR)
            return True
    return False
