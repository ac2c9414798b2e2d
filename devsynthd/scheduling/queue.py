"""Who is next: a queue that is fair between clients. Pure: no clock, no task."""

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from devsynthd.scheduling.lines import Lines

C = TypeVar("C", bound=Hashable)
T = TypeVar("T", bound=Hashable)

CLIENTS_IN_ALL = 16  # the whole queue holds as many tickets as this many full clients
MAX_WAITING_BYTES = 256 * 2**20


@dataclass(slots=True)
class _Waiting(Generic[C]):
    """What is known of a ticket that waits."""

    client: C
    size_bytes: int
    background: bool
    is_ready: bool = False
    lane: str = ""  # means nothing until it is ready


class FairQueue(Generic[C, T]):
    """Tickets that wait and tickets whose turn it is, at most *max_running* of these.

    Clients take turns; of one client the oldest ticket that can run goes first. A ticket can run
    when it is ready and its lane has a free slot; until then others pass it, and it keeps its
    place. Background tickets have lines of their own and start only while no ready one of the
    others waits.

    *limit* is how many tickets of one client may wait, *max_bytes* how much all that wait may
    weigh. The limits may be changed at any time; tickets that run or wait are not recalled. A
    ticket is told from others by its hash and may be in the queue once.
    """

    def __init__(self, max_running: int, limit: int, max_bytes: int = MAX_WAITING_BYTES) -> None:
        self.max_running, self.limit, self.max_bytes = max_running, limit, max_bytes
        self._waiting: dict[T, _Waiting[C]] = {}
        self._waiting_bytes = 0
        self._lines: dict[bool, Lines[C, T]] = {False: Lines(), True: Lines()}  # by background
        self._ready = {False: 0, True: 0}  # likewise: how many that wait may run
        self._running: dict[T, str] = {}  # the lane of each
        self._in_lane: Counter[str] = Counter()

    @property
    def running(self) -> int:
        """How many tickets have their turn."""
        return len(self._running)

    @property
    def waiting(self) -> int:
        """How many tickets wait, ready or not."""
        return len(self._waiting)

    def waits(self, ticket: T) -> bool:
        """Return whether *ticket* waits, ready or not."""
        return ticket in self._waiting

    def runs(self, ticket: T) -> bool:
        """Return whether *ticket* has its turn."""
        return ticket in self._running

    def fits(self, size_bytes: int) -> bool:
        """Return whether *size_bytes* more do not weigh too much."""
        return self._waiting_bytes + size_bytes <= self.max_bytes

    def can_start(self, lane: str, slots: Callable[[str], int | None]) -> bool:
        """Return whether a ticket that is ready for *lane* would start now; *slots* as `next`."""
        most = slots(lane)
        has_slot = most is None or self._in_lane[lane] < max(most, 1)
        return has_slot and self.running < self.max_running

    def refusal(self, client: C, size_bytes: int, *, can_start: bool = False) -> str | None:
        """Return why there is no room for a ticket of *client*, for a person, or None if there is.

        What can start at once, as far as is known, always has room.
        """
        if can_start or self.waiting < self.max_running - self.running:
            return None
        if not self.fits(size_bytes):
            total, most = self._waiting_bytes >> 20, self.max_bytes >> 20
            return f"{total} of {most} MiB of requests wait already"
        own = sum(lines.length(client) for lines in self._lines.values())
        if own >= self.limit:
            return f"{_generations(own, 'this client')} already"
        if self.waiting >= self.limit * CLIENTS_IN_ALL:
            return f"{_generations(self.waiting, 'all clients')} already"
        return None

    def add(
        self,
        client: C,
        ticket: T,
        *,
        size_bytes: int = 0,
        background: bool = False,
        first: bool = False,
    ) -> None:
        """Let *ticket* wait, at the end of its client's own line; it may run once it is ready.

        *first* puts it at the head of that line: it had its turn and lost it through no fault of
        its own.

        Raises:
            ValueError: It waits or runs already.
        """
        if self.waits(ticket) or self.runs(ticket):
            raise ValueError(f"{ticket!r} is in the queue already")
        self._waiting[ticket] = _Waiting(client, size_bytes, background)
        self._waiting_bytes += size_bytes
        self._lines[background].add(client, ticket, first=first)

    def ready(self, ticket: T, lane: str) -> None:
        """Let *ticket*, which waits, run when its turn comes, in *lane*: a model's instance."""
        waiting = self._waiting[ticket]
        if not waiting.is_ready:
            self._ready[waiting.background] += 1
        waiting.is_ready, waiting.lane = True, lane

    def remove(self, ticket: T) -> None:
        """Take back *ticket*, which waits."""
        waiting = self._forget(ticket)
        self._lines[waiting.background].remove(waiting.client, ticket)

    def next(self, slots: Callable[[str], int | None]) -> T | None:
        """Return the ticket whose turn it is now and count it as running; none if none is.

        *slots* tells how many may run in a lane: None for any number, and less than 1 counts as 1.
        """
        if self.running >= self.max_running:
            return None
        is_free: dict[str, bool] = {}

        def can_run(ticket: T) -> bool:
            waiting = self._waiting[ticket]
            if not waiting.is_ready:
                return False
            lane = waiting.lane
            if lane not in is_free:
                most = slots(lane)
                is_free[lane] = most is None or self._in_lane[lane] < max(most, 1)
            return is_free[lane]

        background = not self._ready[False]
        if not self._ready[background]:
            return None
        ticket = self._lines[background].take(can_run)
        if ticket is not None:
            lane = self._forget(ticket).lane
            self._running[ticket] = lane
            self._in_lane[lane] += 1
        return ticket

    def done(self, ticket: T) -> None:
        """Count *ticket*, which runs, as ended."""
        lane = self._running.pop(ticket)
        self._in_lane[lane] -= 1
        if not self._in_lane[lane]:
            del self._in_lane[lane]  # models come and go

    def order(self) -> list[T]:
        """Return what waits, in the order of turns if all may run and nothing else comes."""
        return self._lines[False].order() + self._lines[True].order()

    def _forget(self, ticket: T) -> _Waiting[C]:
        """Count *ticket* as waiting no more."""
        waiting = self._waiting.pop(ticket)
        self._waiting_bytes -= waiting.size_bytes
        if waiting.is_ready:
            self._ready[waiting.background] -= 1
        return waiting


def _generations(count: int, whose: str) -> str:
    return (
        f"1 generation of {whose} waits" if count == 1 else f"{count} generations of {whose} wait"
    )
