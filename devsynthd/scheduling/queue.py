"""Who is next: a queue that is fair between clients. Pure: no clock, no task."""

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)
T = TypeVar("T")

CLIENTS_IN_ALL = 16  # the whole queue holds as many as this many full clients


class FairQueue(Generic[C, T]):
    """Tickets that wait and tickets whose turn it is, at most *max_running* of these.

    Clients take turns; within one client the oldest ticket goes first. *limit* is how many of one
    client may wait. Both limits may be changed at any time; running tickets are not recalled.
    """

    def __init__(self, max_running: int, limit: int) -> None:
        self.max_running, self.limit = max_running, limit
        self._waiting: OrderedDict[C, deque[T]] = OrderedDict()  # whose turn is next comes first
        self.running = 0

    @property
    def waiting(self) -> int:
        """How many tickets wait."""
        return sum(map(len, self._waiting.values()))

    def has_room(self, client: C) -> bool:
        """Return whether *client* may add a ticket: it can start now, or may wait."""
        if self.running < self.max_running and not self._waiting:
            return True
        own = len(self._waiting.get(client, ()))
        return own < self.limit and self.waiting < self.limit * CLIENTS_IN_ALL

    def add(self, client: C, ticket: T) -> None:
        """Put *ticket* at the end of its client's own line."""
        self._waiting.setdefault(client, deque()).append(ticket)

    def remove(self, client: C, ticket: T) -> None:
        """Take back *ticket*, which waits."""
        line = self._waiting[client]
        line.remove(ticket)
        if not line:
            del self._waiting[client]

    def next(self) -> T | None:
        """Return the ticket whose turn it is now and count it as running; none if none is."""
        if self.running >= self.max_running or not self._waiting:
            return None
        client, line = self._waiting.popitem(last=False)
        ticket = line.popleft()
        if line:
            self._waiting[client] = line  # to the end: the others come first
        self.running += 1
        return ticket

    def done(self) -> None:
        """Count one running ticket as ended."""
        self.running -= 1

    def position(self, ticket: T) -> int | None:
        """Return how many tickets go before *ticket*, if it waits and nothing else comes."""
        ahead = 0
        lines = [list(line) for line in self._waiting.values()]
        for turn in range(max(map(len, lines), default=0)):
            for line in lines:
                if turn < len(line):
                    if line[turn] is ticket:
                        return ahead
                    ahead += 1
        return None
