"""The requests that have no last reply yet: who may join, who is told of what, who waits."""

import threading
from collections.abc import Iterable

from devsynthctl.errors import ConnectionLost
from devsynthctl.pipe.asked import Asked
from devsynthctl.pipe.flight import Flight
from devsynthctl.pipe.told import Told, error_line
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import RequestId

MAX_GENERATING_BYTES = 2 * MAX_BODY_BYTES
"""How much the generations and embeddings in flight may hold, however few they are."""

MAX_OTHERS = 512
"""How many other requests may be in flight: a daemon drops replies where too many pile up."""


class InFlight:
    """All of them, by id: those that were sent, and those that wait for another daemon.

    For two threads: one adds, sends and loses them, the other one hears of them and ends them.
    """

    def __init__(self, max_generating: int) -> None:
        self._max_generating = max_generating
        self._lock = threading.Lock()
        self._sent: dict[RequestId, Flight] = {}
        self._waiting: dict[RequestId, Flight] = {}
        self._generating = self._generating_bytes = 0
        self._is_finishing = False

    def __len__(self) -> int:
        with self._lock:
            return len(self._sent) + len(self._waiting)

    def __contains__(self, request_id: RequestId) -> bool:
        with self._lock:
            return request_id in self._sent or request_id in self._waiting

    def has_room_for(self, asked: Asked) -> bool:
        """Return whether one more request like *asked* may be in flight now."""
        with self._lock:
            if not asked.is_generating:
                others = len(self._sent) + len(self._waiting) - self._generating
                return others < MAX_OTHERS
            size = self._generating_bytes + len(asked.body)
            return not self._generating or (
                self._generating < self._max_generating and size <= MAX_GENERATING_BYTES
            )

    def add(self, flight: Flight) -> None:
        """Have *flight*, whose id is free, in flight."""
        with self._lock:
            self._sent[flight.id] = flight
            if flight.asked.is_generating:
                self._generating += 1
                self._generating_bytes += len(flight.body)

    def remove(self, request_id: RequestId) -> None:
        """Have it in flight no more: it has ended, or could not be sent."""
        with self._lock:
            if flight := self._sent.pop(request_id, None):
                self._left(flight)

    def finish(self) -> tuple[list[bytes], list[RequestId]]:
        """Have no subscription wait from now on.

        Return the lines that end those that do, and the ids of those that were sent.
        """
        with self._lock:
            self._is_finishing = True
            lines = self._end(each for each in [*self._waiting.values()] if _subscribes(each))
            return lines, [each.id for each in self._sent.values() if _subscribes(each)]

    # What replies tell ---------------------------------------------------------------------

    def hears(self, told: Told, line: bytes, now: float) -> bool:
        """Take note of the reply in *line*; return whether the user is to be told of it.

        Whoever was refused before a part of its answer came waits for another daemon instead.
        """
        with self._lock:
            flight = self._sent.get(told.id)
            if flight is None:
                return False
            flight.has_begun = flight.has_begun or told.is_part
            if flight.is_ours:
                if told.is_last:
                    self._left(self._sent.pop(told.id))
                return False
            if told.is_refusal and self._may_go_elsewhere(flight):
                flight.wait_for_another(line, now)
                self._waiting[told.id] = self._sent.pop(told.id)
                return False
            return True

    def give_up(self, now: float, error: DevsynthError) -> list[bytes]:
        """Return the lines that end with *error* who was sent, and has no answer for too long."""
        with self._lock:
            late = [each for each in self._sent.values() if _is_late(each, now)]
            for flight in late:
                self._left(self._sent.pop(flight.id))
            return [error_line(each.id, error) for each in late if not each.is_ours]

    def next_give_up(self) -> float | None:
        """Return when somebody has had no answer for too long (monotonic); null: never."""
        with self._lock:
            times = (each.give_up for each in self._sent.values() if each.give_up is not None)
            return min(times, default=None)

    # Who waits for another daemon ----------------------------------------------------------

    def lose(self, error: DevsynthError, now: float) -> list[bytes]:
        """Return the lines that end who was lost with the connection, which *error* has ended.

        If the daemon just went away, whoever may be asked twice waits instead.
        """
        with self._lock:
            for flight in self._sent.values():
                flight.wait_for_another(error_line(flight.id, error), now)
            lost, self._sent = self._sent, {}
            self._waiting |= lost
            is_gone = isinstance(error, ConnectionLost)
            return self._end(
                each for each in lost.values() if not (is_gone and each.asked.is_repeatable)
            )

    def waiting_for_other_than(self, connection: int) -> list[Flight]:
        """Return who waits for another daemon than that of *connection*."""
        with self._lock:
            return [each for each in self._waiting.values() if each.connection != connection]

    def sends_again(self, flight: Flight) -> None:
        """Have *flight*, which waits, among those that were sent."""
        with self._lock:
            self._sent[flight.id] = self._waiting.pop(flight.id)

    def waits_on(self, flight: Flight) -> None:
        """Have *flight* wait again: it was not sent after all."""
        with self._lock:
            self._waiting[flight.id] = self._sent.pop(flight.id)

    def cancel_waiting(self, request_id: RequestId | None) -> bool:
        """Have the request in flight no more if it waits; return whether it did."""
        with self._lock:
            flight = None if request_id is None else self._waiting.pop(request_id, None)
            if flight:
                self._left(flight)
            return flight is not None

    def expire(self, now: float) -> list[bytes]:
        """Return the lines that end who has waited for too long."""
        with self._lock:
            return self._end(each for each in [*self._waiting.values()] if each.until <= now)

    def next_expiry(self) -> float | None:
        """Return when somebody has waited for too long (monotonic); null: nobody waits."""
        with self._lock:
            return min((each.until for each in self._waiting.values()), default=None)

    def _may_go_elsewhere(self, flight: Flight) -> bool:
        is_over = self._is_finishing and _subscribes(flight)
        return flight.asked.may_be_refused and not (flight.has_begun or is_over)

    def _end(self, flights: Iterable[Flight]) -> list[bytes]:
        lines = []
        for flight in flights:
            self._left(self._waiting.pop(flight.id))
            if not flight.is_ours:
                lines.append(flight.ending)
        return lines

    def _left(self, flight: Flight) -> None:
        if flight.asked.is_generating:
            self._generating -= 1
            self._generating_bytes -= len(flight.body)


def _is_late(flight: Flight, now: float) -> bool:
    return flight.give_up is not None and flight.give_up <= now


def _subscribes(flight: Flight) -> bool:
    return flight.asked.op == "subscribe"
