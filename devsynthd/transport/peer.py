"""One connection to the socket: who is at the other end and what still waits to be read there."""

from collections import deque
from typing import Protocol

Frames = list[bytes]

_NUMBER_BYTES = 5


class Send(Protocol):
    """How a peer's messages leave: the router's part."""

    def __call__(self, peer: "Peer", frames: Frames, /) -> None:
        """Send *frames* to *peer* now, or keep them in its outbox."""


class Peer:
    """A connected client, as the service sees it.

    *uid* and *pid* are null where the system does not tell them. *is_own*: it is the daemon itself,
    looking after its socket. A peer is *writable* while all that was sent to it has been taken by
    the transport. *is_numbered*: the ROUTER has given it its identity, which no other peer will
    ever have.
    """

    def __init__(
        self,
        routing_id: bytes,
        send: Send,
        *,
        fd: int,
        uid: int | None,
        pid: int | None,
        socket_type: str,
        is_own: bool = False,
    ) -> None:
        self.routing_id, self.fd, self.uid, self.pid = routing_id, fd, uid, pid
        self.is_req, self.is_own = socket_type == "REQ", is_own
        self.is_numbered = _is_number(routing_id)
        self.gone = False
        self.outbox: deque[Frames] = deque()
        self.outbox_bytes = 0
        self.slow_since: float | None = None  # when it last took something from the outbox
        self.loses_replies = False  # since the outbox is full
        self._send = send

    @property
    def writable(self) -> bool:
        """Whether a message sent now would leave at once."""
        return not self.outbox

    def send(self, frames: Frames) -> None:
        """Send one message, now or as soon as the peer reads on; nothing if it has left."""
        self._send(self, frames)

    def is_older_than(self, routing_id: bytes) -> bool:
        """Whether this connection is known to have been made before that of *routing_id*.

        Of chosen identities nothing is known, and the newcomer is believed.
        """
        both_numbered = self.is_numbered and _is_number(routing_id)
        return not both_numbered or self.routing_id < routing_id


def _is_number(routing_id: bytes) -> bool:
    """Return whether *routing_id* is one that a ROUTER gives to who brings none of its own.

    That is a zero byte, then a 32-bit counter. libzmq lets a client choose such a one all the same,
    though its manual keeps the zero byte for itself: who does, and hangs up, and comes back at once
    on a descriptor of the same number, may be taken for the one who has left.
    """
    return len(routing_id) == _NUMBER_BYTES and routing_id[0] == 0


def parse_peer_address(address: str) -> tuple[int | None, int | None]:
    """Return uid and pid from libzmq's ``Peer-Address``, which ends in ``:uid:gid:pid``.

    Only Linux tells them; elsewhere both are null.
    """
    parts = address.rsplit(":", 3)
    if len(parts) != 4 or not all(part.isdigit() for part in parts[1:]):  # noqa: PLR2004
        return None, None
    return int(parts[1]), int(parts[3])
