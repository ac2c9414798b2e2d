"""The replies to one request that have come and are not read yet: bounded, in their order. Pure."""

from collections import deque

from msgspec import structs

from devsynthd.wire.errors import Incomplete
from devsynthd.wire.replies import Chunk, Event, Progress, ReceivedReply
from devsynthd.wire.requests import Topic

MAX_UNREAD_BYTES = 16 * 2**20
"""More than that of one request's replies, and one reply, are never kept for a slow reader."""

_OVERHEAD_BYTES = 512  # what a small reply takes in memory besides its body, about


class Unread:
    """What comes is always taken, so that no reader holds up another.

    If too much is unread, the oldest events are dropped and counted in ``missed`` of the next one
    of their topic; an answer, which must be whole, is to be given up.
    """

    def __init__(self) -> None:
        self._replies: deque[tuple[ReceivedReply, int]] = deque()  # and the bytes it takes
        self._bytes = 0
        self._missed: dict[Topic, int] = {}

    def __bool__(self) -> bool:
        return bool(self._replies)

    def put(self, reply: ReceivedReply, body_bytes: int) -> bool:
        """Take in *reply*, of *body_bytes*; return false if there is too much to be read."""
        if self._bytes > MAX_UNREAD_BYTES and isinstance(reply, Chunk | Progress):
            return False
        while self._bytes > MAX_UNREAD_BYTES and isinstance(reply, Event):
            oldest = self._take()
            if isinstance(oldest, Event):
                so_far = self._missed.get(oldest.topic, 0)
                self._missed[oldest.topic] = so_far + 1 + oldest.missed
        taken_bytes = body_bytes + _OVERHEAD_BYTES
        self._replies.append((reply, taken_bytes))
        self._bytes += taken_bytes
        return True

    def take(self) -> ReceivedReply:
        """Return the next reply; there must be one."""
        reply = self._take()
        if isinstance(reply, Event) and (missed := self._missed.pop(reply.topic, 0)):
            # All that was dropped was older than what is left.
            return structs.replace(reply, missed=reply.missed + missed)
        return reply

    def _take(self) -> ReceivedReply:
        reply, taken_bytes = self._replies.popleft()
        self._bytes -= taken_bytes
        return reply


def not_read() -> Incomplete:
    """Return the error for an answer that was given up."""
    return Incomplete(
        "the answer was cancelled, since it was not read while it came",
        hint="read a stream at least as fast as the model writes, or ask for the whole answer",
    )
