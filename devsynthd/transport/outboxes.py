"""What waits for peers that do not read: it leaves as soon as they do, and has limits."""

import asyncio
import logging
from collections.abc import Callable, Collection

from devsynthd.transport.peer import Frames, Peer

logger = logging.getLogger(__name__)

MAX_OUTBOX_BYTES = 16 * 2**20  # and one message more: however long an answer is, it has room
MIN_RETRY_S, MAX_RETRY_S = 0.002, 0.05
LONG_S, LONG_RETRY_S = 5.0, 1.0  # a reader may be suspended for hours: no reason to wake up often
STALL_S = 30.0


class Outboxes:
    """Keeps what slow peers are to be sent, in their outboxes. Belongs to the running event loop.

    Args:
        leaves: Sends a message to a peer; returns whether it left.
        writable: Told of a peer that has read all that waited for it.
        stalled: Told, again and again, of one that has not read for *stall_s* seconds, or lets too
            much pile up.
    """

    def __init__(
        self,
        leaves: Callable[[Peer, Frames], bool],
        *,
        writable: Callable[[Peer], None],
        stalled: Callable[[Peer], None],
        stall_s: float,
    ) -> None:
        self._leaves, self._writable, self._stall_s = leaves, writable, stall_s
        self._tell_stalled = stalled
        self._loop = asyncio.get_running_loop()
        self._slow: set[Peer] = set()
        self._stalled: set[Peer] = set()  # those that have not read for so long that it was logged
        self._all_sent = asyncio.Event()
        self._all_sent.set()
        self._retry: asyncio.TimerHandle | None = None
        self._retry_s = MIN_RETRY_S
        self._moved_at = 0.0  # when a slow peer read last, or another one became slow

    def keep(self, peer: Peer, frames: Frames) -> None:
        """Send *frames* when *peer* has read what is before them; drop them if that is too much."""
        if peer.outbox_bytes >= MAX_OUTBOX_BYTES:
            if not peer.loses_replies:  # one line, however many they are
                logger.warning(
                    "pid %s does not read: its replies are dropped",
                    peer.pid,
                    extra={"fields": {"client_pid": peer.pid}},
                )
            peer.loses_replies = True
            self._tell_stalled(peer)
            return
        peer.outbox.append(frames)
        peer.outbox_bytes += sum(map(len, frames))
        if peer.slow_since is None:
            peer.slow_since = self._loop.time()
        if peer not in self._slow:
            self._slow.add(peer)
            self._all_sent.clear()
            self._retry_in(MIN_RETRY_S)

    def forget(self, peer: Peer) -> None:
        """Drop what waits for *peer*, which has left."""
        self._no_longer_slow(peer)
        peer.outbox.clear()

    async def flushed(self, but_for: Collection[object] = ()) -> None:
        """Wait until nothing waits, but for those that have stalled, and *but_for*.

        If one of these reads on, it is waited for as well.
        """
        self._stalled |= self._slow.intersection(but_for)
        self._look_if_all_sent()
        await self._all_sent.wait()

    def close(self) -> None:
        """Send what can leave now, and no more."""
        if self._retry is not None:
            self._retry.cancel()
        self._flush()

    def _try_again(self) -> None:
        self._retry = None
        progress = self._flush()
        now = self._loop.time()
        for peer in list(self._slow):
            if peer.slow_since is not None and now - peer.slow_since > self._stall_s:
                peer.slow_since = now
                self._note_stalled(peer)
        if progress:
            self._retry_in(MIN_RETRY_S)
        elif self._retry is None:
            longest_s = MAX_RETRY_S if now - self._moved_at < LONG_S else LONG_RETRY_S
            self._retry_after(min(longest_s, self._retry_s * 2))

    def _note_stalled(self, peer: Peer) -> None:
        if peer not in self._stalled:
            logger.warning(
                "pid %s has not read for %.0f s",
                peer.pid,
                self._stall_s,
                extra={"fields": {"client_pid": peer.pid}},
            )
        self._stalled.add(peer)
        self._look_if_all_sent()
        self._tell_stalled(peer)

    def _retry_in(self, delay_s: float) -> None:
        """Try again soon, since something has moved."""
        self._moved_at = self._loop.time()
        if self._retry is not None:
            self._retry.cancel()
        self._retry_after(delay_s)

    def _retry_after(self, delay_s: float) -> None:
        # By timer, not by POLLOUT: that stays true while any other peer could be written to.
        self._retry_s = delay_s
        self._retry = self._loop.call_later(delay_s, self._try_again) if self._slow else None

    def _flush(self) -> bool:
        """Send what waits, as far as it goes; return whether anything left."""
        progress = False
        for peer in list(self._slow):
            while peer.outbox and self._leaves(peer, peer.outbox[0]):
                peer.outbox_bytes -= sum(map(len, peer.outbox.popleft()))
                peer.slow_since = self._loop.time()
                self._stalled.discard(peer)
                progress = True
            if not peer.outbox and not peer.gone:
                self._no_longer_slow(peer)
                peer.slow_since = None
                peer.loses_replies = False
                self._writable(peer)
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
