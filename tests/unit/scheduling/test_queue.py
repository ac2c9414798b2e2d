"""Whose turn it is."""

from hypothesis import given
from hypothesis import strategies as st

from devsynthd.scheduling.queue import CLIENTS_IN_ALL, FairQueue


def drained(queue: FairQueue[str, str]) -> list[str]:
    """Return the tickets in the order in which they run, one at a time."""
    order = []
    while (ticket := queue.next()) is not None:
        order.append(ticket)
        queue.done()
    return order


def filled(max_running: int, *tickets: str, limit: int = 64) -> FairQueue[str, str]:
    """Return a queue with *tickets*, each named by its client and a number."""
    queue: FairQueue[str, str] = FairQueue(max_running, limit)
    for ticket in tickets:
        queue.add(ticket[0], ticket)
    return queue


def test_clients_take_turns_and_each_keeps_its_own_order() -> None:
    queue = filled(1, "a1", "a2", "a3", "a4", "b1", "b2", "c1")

    assert drained(queue) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_never_more_run_than_allowed() -> None:
    queue = filled(2, "a1", "a2", "a3")

    assert [queue.next(), queue.next(), queue.next()] == ["a1", "a2", None]
    queue.done()
    assert queue.next() == "a3"
    assert queue.running == 2


def test_a_higher_limit_takes_effect_at_once_and_a_lower_one_as_tickets_end() -> None:
    queue = filled(1, "a1", "a2", "a3")
    queue.next()

    queue.max_running = 2
    assert queue.next() == "a2"
    queue.max_running = 1
    queue.done()
    assert queue.next() is None
    queue.done()
    assert queue.next() == "a3"


def test_room_is_limited_for_each_client_and_in_all() -> None:
    queue = filled(1, "a0", limit=2)
    queue.next()

    for client in range(CLIENTS_IN_ALL):
        for number in range(2):
            assert queue.has_room(str(client))
            queue.add(str(client), f"{client}/{number}")
        assert not queue.has_room(str(client))
    assert not queue.has_room("one more")


def test_there_is_always_room_for_what_can_start() -> None:
    assert filled(1, limit=1).has_room("a")


def test_a_removed_ticket_never_runs() -> None:
    queue = filled(1, "a1", "b1", "b2")

    queue.remove("b", "b1")
    queue.remove("a", "a1")

    assert drained(queue) == ["b2"]
    assert queue.waiting == 0


def test_positions_count_who_goes_before() -> None:
    queue = filled(1, "a1", "a2", "b1", "b2")

    assert [queue.position(ticket) for ticket in ("a1", "b1", "a2", "b2", "c1")] == [
        0,
        1,
        2,
        3,
        None,
    ]


@given(
    st.lists(st.sampled_from(["add a", "add b", "add c", "next", "done", "remove"]), max_size=80),
    st.integers(1, 3),
)
def test_every_ticket_runs_once_or_is_removed(steps: list[str], max_running: int) -> None:
    queue: FairQueue[str, str] = FairQueue(max_running, 64)
    waiting: list[str] = []
    ran: list[str] = []
    for number, step in enumerate(steps):
        if step.startswith("add"):
            ticket = f"{step[-1]}{number}"
            queue.add(step[-1], ticket)
            waiting.append(ticket)
        elif step == "next" and (started := queue.next()) is not None:
            ran.append(started)
            waiting.remove(started)
        elif step == "done" and queue.running:
            queue.done()
        elif step == "remove" and waiting:
            gone = waiting.pop()
            queue.remove(gone[0], gone)
        assert queue.running <= max_running
        assert queue.waiting == len(waiting)
        by_position = sorted(waiting, key=lambda ticket: queue.position(ticket) or 0)
        assert [queue.position(ticket) for ticket in by_position] == list(range(len(waiting)))
    while queue.running:
        queue.done()

    rest = drained(queue)

    assert sorted(rest) == sorted(waiting)
    assert len(set(ran)) == len(ran)
