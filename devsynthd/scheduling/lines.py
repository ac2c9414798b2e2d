"""Lines of clients that take turns. Pure."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from operator import itemgetter
from typing import Generic, TypeVar

C = TypeVar("C", bound=Hashable)
T = TypeVar("T", bound=Hashable)


class Lines(Generic[C, T]):
    """A line of tickets for each client, and the clients in the order of their turns.

    A client that comes anew stands behind all others, and so does one that was served.
    """

    def __init__(self) -> None:
        self._lines: OrderedDict[C, OrderedDict[T, None]] = OrderedDict()

    def length(self, client: C) -> int:
        """Return how many tickets of *client* stand in line."""
        return len(self._lines.get(client, ()))

    def add(self, client: C, ticket: T, *, first: bool) -> None:
        """Put *ticket* at the end, or at the head, of its client's own line."""
        line = self._lines.setdefault(client, OrderedDict())
        line[ticket] = None
        line.move_to_end(ticket, last=not first)

    def remove(self, client: C, ticket: T) -> None:
        """Take *ticket* out of line; its client keeps its place, if it has another one."""
        line = self._lines[client]
        del line[ticket]
        if not line:
            del self._lines[client]

    def take(self, may_go: Callable[[T], bool]) -> T | None:
        """Take out the oldest ticket that *may_go* of the first client that has one.

        All that are passed over keep their places.
        """
        for client, line in self._lines.items():
            ticket = next(filter(may_go, line), None)
            if ticket is not None:
                self.remove(client, ticket)
                if line:
                    self._lines.move_to_end(client)
                return ticket
        return None

    def order(self) -> list[T]:
        """Return all tickets in the order of their turns, if all may go and none comes."""
        rounds = [numbered for line in self._lines.values() for numbered in enumerate(line)]
        rounds.sort(key=itemgetter(0))  # stable: in a round the clients keep their order
        return [ticket for _, ticket in rounds]
