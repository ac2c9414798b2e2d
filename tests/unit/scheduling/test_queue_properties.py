"""The fair queue against a slow model of it, over random histories."""

import copy
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from devsynthd.scheduling.queue import CLIENTS_IN_ALL, FairQueue

CLIENTS = st.sampled_from("abc")
LANES = st.sampled_from("xyz")
PICKS = st.integers(0, 99)  # which ticket, of those that there are


@dataclass
class Ticket:
    """What the model knows of a ticket that waits or runs."""

    number: int
    client: str
    background: bool
    size_bytes: int
    arrival: int  # in its client's line
    lane: str | None = None


class FairQueueMachine(RuleBasedStateMachine):
    """Plays with a queue and keeps a book of what each ticket should do."""

    def __init__(self) -> None:
        super().__init__()
        self.queue: FairQueue[str, int] = FairQueue(2, 3, max_bytes=20)
        self.slots: dict[str, int | None] = {}
        self.waiting: dict[int, Ticket] = {}
        self.running: dict[int, Ticket] = {}
        self.ended: list[int] = []  # it ran, or was removed
        self.added = 0
        self.clock = 0  # counts arrivals and turns
        self.since: dict[tuple[str, bool], int] = {}  # when a client last came or was served
        self.served_since: dict[str, list[str]] = {}  # others, while a client could run

    @initialize(max_running=st.integers(1, 3))
    def begin(self, max_running: int) -> None:
        self.queue.max_running = max_running

    @rule(
        client=CLIENTS, background=st.booleans(), first=st.booleans(), size_bytes=st.integers(0, 9)
    )
    def add(self, client: str, size_bytes: int, *, background: bool, first: bool) -> None:
        refusal = self.queue.refusal(client, size_bytes)
        assert (refusal is None) is self.has_room(client, size_bytes)
        if refusal is not None:
            return
        self.clock += 1
        self.added += 1
        if not any(t.client == client and t.background is background for t in self.all_waiting):
            self.since[client, background] = self.clock
        arrival = -self.clock if first else self.clock
        ticket = Ticket(self.added, client, background, size_bytes, arrival)
        self.waiting[ticket.number] = ticket
        self.queue.add(
            client, ticket.number, size_bytes=size_bytes, background=background, first=first
        )

    @precondition(lambda self: self.waiting)
    @rule(pick=PICKS, lane=LANES)
    def ready(self, pick: int, lane: str) -> None:
        ticket = self.all_waiting[pick % len(self.waiting)]
        ticket.lane = lane
        self.queue.ready(ticket.number, lane)

    @precondition(lambda self: self.waiting)
    @rule(pick=PICKS)
    def remove(self, pick: int) -> None:
        ticket = self.all_waiting[pick % len(self.waiting)]
        del self.waiting[ticket.number]
        self.ended.append(ticket.number)
        self.queue.remove(ticket.number)

    @precondition(lambda self: self.running)
    @rule(pick=PICKS)
    def done(self, pick: int) -> None:
        number = list(self.running)[pick % len(self.running)]
        del self.running[number]
        self.ended.append(number)
        self.queue.done(number)

    @rule(max_running=st.integers(1, 3), limit=st.integers(1, 3))
    def resize(self, max_running: int, limit: int) -> None:
        self.queue.max_running, self.queue.limit = max_running, limit

    @rule(lane=LANES, slots=st.none() | st.integers(-1, 3))
    def reslot(self, lane: str, slots: int | None) -> None:
        self.slots[lane] = slots

    @rule()
    def next(self) -> None:
        runnable = self.runnable()
        expected = min(
            runnable, key=lambda t: (self.since[t.client, t.background], t.arrival), default=None
        )
        able = {t.client for t in runnable if not t.background}

        number = self.queue.next(self.slots.get)

        assert number == (expected.number if expected else None)
        if expected is None:
            return
        self.watch_for_starvation(expected, able)
        self.clock += 1
        self.since[expected.client, expected.background] = self.clock
        self.running[expected.number] = self.waiting.pop(expected.number)
        in_lane = [t for t in self.running.values() if t.lane == expected.lane]
        assert len(self.running) <= self.queue.max_running
        slots = self.slots.get(expected.lane or "")
        assert slots is None or len(in_lane) <= max(slots, 1)

    def watch_for_starvation(self, served: Ticket, able: set[str]) -> None:
        """Assert that no other is served twice while a client could run all the time."""
        assert not (served.background and able)
        for client in able - {served.client}:
            others = self.served_since.setdefault(client, [])
            assert served.client not in others
            others.append(served.client)
        for client in set(self.served_since) - (able - {served.client}):
            del self.served_since[client]

    @invariant()
    def who_could_not_run_for_a_moment_is_counted_anew(self) -> None:
        able = {t.client for t in self.in_free_lanes() if not t.background}
        for client in set(self.served_since) - able:
            del self.served_since[client]

    @invariant()
    def counts_agree(self) -> None:
        assert self.queue.waiting == len(self.waiting)
        assert self.queue.running == len(self.running)
        assert sorted([*self.waiting, *self.running, *self.ended]) == list(range(1, self.added + 1))
        room = self.queue.max_bytes - sum(t.size_bytes for t in self.all_waiting)
        assert self.queue.fits(room)
        assert not self.queue.fits(room + 1)

    @invariant()
    def the_order_is_that_of_turns_if_all_may_run(self) -> None:
        order = self.queue.order()
        assert sorted(order) == sorted(self.waiting)
        free = copy.deepcopy(self.queue)
        free.max_running = len(self.running) + 1
        for number in self.waiting:
            free.ready(number, "any")
        turns = []
        while (turn := free.next(lambda _: None)) is not None:
            turns.append(turn)
            free.done(turn)
        assert turns == order

    def teardown(self) -> None:
        for number in list(self.running):
            self.queue.done(number)
        for ticket in self.all_waiting:
            self.queue.ready(ticket.number, "x")
        left = set(self.waiting)
        while (turn := self.queue.next(lambda _: 1)) is not None:
            left.remove(turn)
            self.queue.done(turn)
        assert not left
        assert (self.queue.running, self.queue.waiting) == (0, 0)
        assert self.queue.fits(self.queue.max_bytes)
        assert not self.queue.fits(self.queue.max_bytes + 1)

    @property
    def all_waiting(self) -> list[Ticket]:
        return list(self.waiting.values())

    def has_room(self, client: str, size_bytes: int) -> bool:
        if len(self.waiting) < self.queue.max_running - len(self.running):
            return True
        own = sum(t.client == client for t in self.all_waiting)
        weight = sum(t.size_bytes for t in self.all_waiting)
        return (
            own < self.queue.limit
            and len(self.waiting) < self.queue.limit * CLIENTS_IN_ALL
            and weight + size_bytes <= self.queue.max_bytes
        )

    def in_free_lanes(self) -> list[Ticket]:
        """Return what is ready and has a free slot, whether or not a place is free."""
        ran = [t.lane for t in self.running.values()]
        found = []
        for ticket in self.all_waiting:
            if ticket.lane is not None:
                slots = self.slots.get(ticket.lane)
                if slots is None or ran.count(ticket.lane) < max(slots, 1):
                    found.append(ticket)
        return found

    def runnable(self) -> list[Ticket]:
        if len(self.running) >= self.queue.max_running:
            return []
        holds_back = any(not t.background and t.lane is not None for t in self.all_waiting)
        return [t for t in self.in_free_lanes() if not (t.background and holds_back)]


FairQueueMachine.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=60,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestFairQueue = FairQueueMachine.TestCase
