"""Many clients of a soak on one loop, that keep requests in flight and misbehave."""

import heapq
import itertools
import math
import time
from collections.abc import Callable, Mapping
from functools import partial

import zmq

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.replies import Chunk, Error, Event, Progress, ReceivedReply, ReceivedResult
from tests.soak.connections import Connection, Dealt, Piped, Pollable
from tests.soak.desk import Desk
from tests.soak.entry import LOST, Entry
from tests.soak.plan import NONSENSE, Conduct, Order

PAUSE_S = 1.0
"""Before whoever was told that the upstream is not there asks again."""

AGAIN_S = 0.1
"""Before whoever was hung up on connects again, and whoever was refused asks again."""

MAX_WAIT_S = 1.0
A_PIPE_IN = 10

_TO_ASK_AGAIN = {
    ErrorCode.UPSTREAM_UNAVAILABLE: PAUSE_S,
    ErrorCode.SHUTTING_DOWN: AGAIN_S,
    LOST: AGAIN_S,
}


class Crowd:
    """*clients* that keep *each* requests in flight, and behave as *conduct* says.

    One in ten is a ``devsynthctl pipe``, started with *environ*.
    """

    def __init__(
        self,
        endpoint: str,
        environ: Mapping[str, str],
        desk: Desk,
        conduct: Conduct,
        *,
        clients: int,
        each: int,
    ) -> None:
        self._endpoint, self._environ, self._desk = endpoint, environ, desk
        self._conduct, self._each = conduct, each
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._poller = zmq.Poller()
        self._connections: dict[Pollable, Connection] = {}
        self._numbers, self._order = itertools.count(1), itertools.count(1)
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
            self._desk.tell(entry, [f"nothing has come {limit_s:g} s after the end"])

    @property
    def in_flight(self) -> list[Entry]:
        """What has not ended."""
        connections = {id(each): each for each in self._connections.values()}.values()
        return [entry for each in connections for entry in each.in_flight.values()]

    def close(self) -> None:
        """Let all leave."""
        for connection in list(self._connections.values()):
            self._leave(connection)
        self._context.term()

    # The loop ------------------------------------------------------------------------------

    def _step(self, end: float) -> None:
        now = time.monotonic()
        while self._due and self._due[0][0] <= now:
            heapq.heappop(self._due)[2]()
        due = self._due[0][0] if self._due else math.inf
        wait_s = min(max(min(due, end) - time.monotonic(), 0), MAX_WAIT_S)
        for pollable, _ in self._poller.poll(math.ceil(wait_s * 1000)):
            connection = self._connections.get(pollable)
            if connection is not None:
                self._read(connection)

    def _later(self, seconds: float, action: Callable[[], None]) -> None:
        heapq.heappush(self._due, (time.monotonic() + seconds, next(self._order), action))

    # Coming, asking, leaving ---------------------------------------------------------------

    def _come(self) -> None:
        if self._over:
            return
        connection = self._connect(next(self._numbers))
        for pollable in connection.pollables:
            self._connections[pollable] = connection
            self._poller.register(pollable, zmq.POLLIN)
        stay_s = self._conduct.stay_s()
        if stay_s < math.inf:
            self._later(stay_s, partial(self._vanish, connection))
        self._fill(connection)

    def _connect(self, number: int) -> Connection:
        if number % A_PIPE_IN == 0:
            return Piped(self._environ)
        return Dealt(self._context, self._endpoint, number)

    def _vanish(self, connection: Connection) -> None:
        """Leave with everything in flight, and come back as somebody else."""
        if self._over or connection.gone:
            return
        self._leave(connection)
        self._desk.did("clients vanished")
        for entry in connection.in_flight.values():
            self._desk.vanish(entry)
        self._come()

    def _lose(self, connection: Connection) -> None:
        """Take it that the daemon has hung up, and come back as somebody else."""
        self._leave(connection)
        for entry in connection.in_flight.values():
            self._desk.lose(entry)
        connection.in_flight.clear()
        self._later(AGAIN_S, self._come)

    def _leave(self, connection: Connection) -> None:
        if connection.gone:
            return
        for pollable in connection.pollables:
            self._poller.unregister(pollable)
            del self._connections[pollable]
        connection.leave()

    def _fill(self, connection: Connection) -> None:
        while connection.slots_taken < self._each and not (self._over or connection.gone):
            connection.slots_taken += 1
            self._send(connection, self._conduct.request())

    def _send(self, connection: Connection, order: Order, target: Entry | None = None) -> None:
        entry = self._desk.open(order, target)
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

    def _read(self, connection: Connection) -> None:
        is_lost = connection.is_lost()  # looked at first: what came before that is read below
        for reply in connection.receive():
            self._take(connection, reply)
        if is_lost and not connection.gone:
            self._lose(connection)

    def _take(self, connection: Connection, reply: ReceivedReply) -> None:
        entry = None if reply.id is None else connection.in_flight.get(reply.id)
        if entry is None:
            self._desk.tell(reply, ["it belongs to nothing that is in flight"])
            return
        match reply:
            case Chunk():
                self._desk.tell(entry, entry.take_chunk(reply))
                plan = entry.order.cancelling
                if plan is not None and plan.after_chunks == entry.chunks:
                    self._cancel(connection, entry)
            case Progress():
                self._desk.progress(entry, reply)
            case Event():
                self._desk.tell(entry, ["it got an event, which it did not subscribe to"])
            case _:
                self._end(connection, entry, reply)

    def _end(self, connection: Connection, entry: Entry, reply: ReceivedResult | Error) -> None:
        del connection.in_flight[entry.id]
        if isinstance(reply, Error):
            self._desk.error(entry, reply.error)
        else:
            self._desk.read_result(entry, reply.result, connection.format)
        script, plan = entry.order.script, entry.order.cancelling
        if script is None:
            return
        if plan is not None and plan.afterwards:
            self._cancel(connection, entry)
        aside = self._conduct.aside()
        if aside is not None and not self._over and self._may_ask(connection, aside):
            self._send(connection, aside)
        pause_s = _TO_ASK_AGAIN.get(str(entry.outcome), 0)
        self._later(pause_s, partial(self._give_back, connection))

    def _may_ask(self, connection: Connection, order: Order) -> bool:
        return not (connection.checks_ops and order.op == NONSENSE)

    def _give_back(self, connection: Connection) -> None:
        connection.slots_taken -= 1
        self._fill(connection)
