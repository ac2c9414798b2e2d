"""The clients of a soak: raw DEALERs on one loop, that keep requests in flight and misbehave."""

import heapq
import itertools
import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import msgspec
import zmq

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.replies import Chunk, Error, Event, Progress, ReceivedReply, ReceivedResult
from devsynthd.wire.requests import RequestId
from devsynthd.wire.results import RESULT_TYPES
from tests.bench.soak_entry import Entry
from tests.bench.soak_ledger import Ledger
from tests.bench.soak_plan import Conduct, Order
from tests.bench.soak_upstream import SoakUpstream

PAUSE_S = 1.0
"""Before whoever was told that the upstream is not there asks again."""

MAX_WAIT_S = 1.0


class Connection:
    """One client: a socket, and what it has in flight. Every fourth one talks JSON."""

    def __init__(
        self, context: "zmq.Context[zmq.Socket[bytes]]", endpoint: str, number: int
    ) -> None:
        self.number, self.gone = number, False
        self.in_flight: dict[RequestId, Entry] = {}
        self.slots_taken = 0  # by generations and embeddings, and by who waits to ask again
        self.format = msgspec.json if number % 4 == 0 else msgspec.msgpack
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, 0)
        self.socket.connect(endpoint)

    def send(self, entry: Entry) -> None:
        """Send the request of *entry*."""
        self.in_flight[entry.id] = entry
        fields = {"op": entry.order.op, "id": entry.id, **entry.order.fields}
        self.socket.send(self.format.encode(fields))

    def receive(self) -> Iterator[ReceivedReply]:
        """Yield the replies that have come."""
        while not self.gone:
            try:
                body = self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            yield self.format.decode(body, type=ReceivedReply)

    def leave(self) -> None:
        """Close the socket without a word."""
        self.gone = True
        self.socket.close(linger=0)


class Crowd:
    """*clients* that keep *each* requests in flight, and behave as *conduct* says."""

    def __init__(
        self,
        endpoint: str,
        upstream: SoakUpstream,
        ledger: Ledger,
        conduct: Conduct,
        *,
        clients: int,
        each: int,
    ) -> None:
        self._endpoint, self._upstream, self._ledger = endpoint, upstream, ledger
        self._conduct, self._each = conduct, each
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._connections: dict[zmq.Socket[bytes], Connection] = {}
        self._numbers, self._ids, self._order = (itertools.count(1) for _ in range(3))
        self._due: list[tuple[float, int, Callable[[], None]]] = []  # a heap
        self._over = False
        for _ in range(clients):
            self._come()

    def run(self, seconds: float, every_second: Callable[[], None] = lambda: None) -> None:
        """Ask and read for so long; *every_second* is called so often."""
        end = time.monotonic() + seconds

        def again() -> None:
            every_second()
            if not self._over:
                self._later(1, again)

        again()
        while time.monotonic() < end:
            self._step(end)
        self._over = True

    def finish(self, limit_s: float) -> None:
        """Read until all has ended; what has not after *limit_s* is a breach."""
        self._over = True
        end = time.monotonic() + limit_s
        while self.in_flight and time.monotonic() < end:
            self._step(end)
        for entry in self.in_flight:
            self._ledger.tell(entry, [f"nothing has come {limit_s:g} s after the end"])

    @property
    def in_flight(self) -> list[Entry]:
        """What has not ended."""
        return [entry for each in self._connections.values() for entry in each.in_flight.values()]

    def close(self) -> None:
        """Let all leave."""
        for connection in self._connections.values():
            connection.leave()
        self._context.term()

    # The loop ------------------------------------------------------------------------------

    def _step(self, end: float) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        due = self._due[0][0] if self._due else math.inf
        wait_s = min(max(min(due, end) - time.monotonic(), 0), MAX_WAIT_S)
        for socket, _ in self._poller.poll(math.ceil(wait_s * 1000)):
            connection = self._connections[socket]
            for reply in connection.receive():
                self._take(connection, reply)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), action))

    # Coming, asking, leaving ---------------------------------------------------------------

    def _come(self) -> None:
        connection = Connection(self._context, self._endpoint, next(self._numbers))
        self._connections[connection.socket] = connection
        self._poller.register(connection.socket, zmq.POLLIN)
        stay_s = self._conduct.stay_s()
        if stay_s < math.inf:
            self._later(stay_s, partial(self._vanish, connection))
        self._fill(connection)

    def _vanish(self, connection: Connection) -> None:
        """Leave with everything in flight, and come back as somebody else."""
        if self._over:
            return
        self._poller.unregister(connection.socket)
        del self._connections[connection.socket]
        connection.leave()
        for entry in connection.in_flight.values():
            self._ledger.vanish(entry)
        self._come()

    def _fill(self, connection: Connection) -> None:
        while connection.slots_taken < self._each and not (self._over or connection.gone):
            connection.slots_taken += 1
            self._send(connection, self._conduct.request())

    def _send(self, connection: Connection, order: Order, target: Entry | None = None) -> None:
        number = next(self._ids)
        entry = Entry(
            order,
            number if number % 2 else f"id-{number}",
            time.monotonic(),
            target=target,
            again=target is not None and target.cancels > 1,
        )
        self._ledger.begin()
        connection.send(entry)
        plan = order.cancelling
        if plan is not None and plan.after_s is not None:
            self._later(plan.after_s, partial(self._cancel, connection, entry))

    def _cancel(self, connection: Connection, entry: Entry) -> None:
        plan = entry.order.cancelling
        if connection.gone or plan is None or (entry.outcome is not None and not plan.afterwards):
            return
        by_number = plan.by_number and entry.number is not None
        fields = {"request": entry.number} if by_number else {"target": entry.id}
        for _ in range(1 + plan.twice):
            entry.cancels += 1
            self._send(connection, Order(op="cancel", fields=fields), entry)

    # Reading -------------------------------------------------------------------------------

    def _take(self, connection: Connection, reply: ReceivedReply) -> None:
        entry = None if reply.id is None else connection.in_flight.get(reply.id)
        if entry is None:
            self._ledger.tell(reply, ["it belongs to nothing that is in flight"])
            return
        match reply:
            case Chunk():
                self._ledger.tell(entry, entry.take_chunk(reply))
                plan = entry.order.cancelling
                if plan is not None and plan.after_chunks == entry.chunks:
                    self._cancel(connection, entry)
            case Progress():
                self._ledger.tell(entry, entry.take_progress(reply))
            case Event():
                self._ledger.tell(entry, ["it got an event, which it did not subscribe to"])
            case _:
                self._end(connection, entry, reply)

    def _end(self, connection: Connection, entry: Entry, reply: ReceivedResult | Error) -> None:
        del connection.in_flight[entry.id]
        now = time.monotonic()
        hit = self._upstream.was_away(entry.sent_at)
        script, plan = entry.order.script, entry.order.cancelling
        arrivals = 0 if script is None else self._upstream.take_arrivals(script.key)
        if isinstance(reply, Error):
            problems = entry.take_error(reply.error, now, arrivals, hit=hit)
        else:
            result = connection.format.decode(reply.result, type=RESULT_TYPES[entry.order.op])
            problems = entry.take_result(result, now, arrivals, hit=hit)
        self._ledger.end(entry, problems)
        if script is None:
            return
        if plan is not None and plan.afterwards:
            self._cancel(connection, entry)
        aside = self._conduct.aside()
        if aside is not None and not self._over:
            self._send(connection, aside)
        is_away = hit and entry.outcome == ErrorCode.UPSTREAM_UNAVAILABLE
        self._later(PAUSE_S if is_away else 0, partial(self._give_back, connection))

    def _give_back(self, connection: Connection) -> None:
        connection.slots_taken -= 1
        self._fill(connection)
