"""Whose turn it is: by cases. ``test_queue_properties`` holds the rules against a model."""

from collections.abc import Callable, Iterable

import pytest

from devsynthd.scheduling.queue import CLIENTS_IN_ALL, FairQueue

MIB = 2**20


def unlimited(_lane: str) -> None:
    """Give every lane as many slots as it likes."""


def one(_lane: str) -> int:
    """Give every lane one slot."""
    return 1


def drained(
    queue: FairQueue[str, str], slots: Callable[[str], int | None] = unlimited
) -> list[str]:
    """Return the tickets in the order in which they run, one at a time."""
    order = []
    while (ticket := queue.next(slots)) is not None:
        order.append(ticket)
        queue.done(ticket)
    return order


def started(
    queue: FairQueue[str, str], slots: Callable[[str], int | None] = unlimited
) -> list[str]:
    """Return the tickets that start now, in their order."""
    return list(iter(lambda: queue.next(slots) or "", ""))


def add(queue: FairQueue[str, str], tickets: Iterable[str], lane: str | None = "m") -> None:
    """Let *tickets* wait, each named by its client and a number; upper case: in the background."""
    for ticket in tickets:
        queue.add(ticket[0].lower(), ticket, background=ticket[0].isupper())
        if lane is not None:
            queue.ready(ticket, lane)


def filled(max_running: int, *tickets: str, limit: int = 64) -> FairQueue[str, str]:
    """Return a queue in which *tickets* wait, ready."""
    queue: FairQueue[str, str] = FairQueue(max_running, limit)
    add(queue, tickets)
    return queue


def test_clients_take_turns_and_each_keeps_its_own_order() -> None:
    queue = filled(1, "a1", "a2", "a3", "a4", "b1", "b2", "c1")

    assert drained(queue) == ["a1", "b1", "c1", "a2", "b2", "a3", "a4"]


def test_a_client_that_comes_later_waits_for_one_ticket_of_each_other() -> None:
    queue = filled(1, "a1", "a2", "a3", "b1", "b2")
    assert queue.next(unlimited) == "a1"

    add(queue, ["c1"])

    queue.done("a1")
    assert drained(queue) == ["b1", "a2", "c1", "b2", "a3"]


def test_never_more_run_than_allowed() -> None:
    queue = filled(2, "a1", "a2", "a3")

    assert started(queue) == ["a1", "a2"]
    queue.done("a1")
    assert started(queue) == ["a3"]
    assert queue.running == 2


def test_a_higher_limit_takes_effect_at_once_and_a_lower_one_as_tickets_end() -> None:
    queue = filled(1, "a1", "a2", "a3")
    assert started(queue) == ["a1"]

    queue.max_running = 2
    assert started(queue) == ["a2"]
    queue.max_running = 1
    queue.done("a1")
    assert started(queue) == []
    queue.done("a2")
    assert started(queue) == ["a3"]


def test_room_is_limited_for_each_client_and_in_all() -> None:
    queue = filled(1, "a0", limit=2)
    queue.next(unlimited)

    for client in map(str, range(CLIENTS_IN_ALL)):
        for number in range(2):
            assert queue.refusal(client, 0) is None
            queue.add(client, f"{client}/{number}")
        assert queue.refusal(client, 0) == "2 generations of this client wait already"
    assert queue.refusal("one more", 0) == "32 generations of all clients wait already"


def test_background_tickets_count_for_the_limit_of_their_client() -> None:
    queue = filled(1, "b0", "a1", "A2", limit=2)
    queue.next(unlimited)

    assert queue.refusal("a", 0) == "2 generations of this client wait already"
    assert queue.refusal("b", 0) is None


def test_a_limit_of_one_is_told_in_good_english() -> None:
    queue = filled(1, "a1", "a2", limit=1)
    queue.next(unlimited)

    assert queue.refusal("a", 0) == "1 generation of this client waits already"


def test_room_is_limited_by_what_the_waiting_requests_weigh() -> None:
    queue: FairQueue[str, str] = FairQueue(1, 64, max_bytes=10 * MIB)
    add(queue, ["a0"])
    queue.next(unlimited)
    queue.add("a", "a1", size_bytes=4 * MIB)
    queue.add("b", "b1", size_bytes=5 * MIB)

    assert queue.refusal("c", MIB) is None
    assert queue.refusal("c", MIB + 1) == "9 of 10 MiB of requests wait already"
    queue.remove("a1")
    assert queue.refusal("c", 5 * MIB) is None
    queue.ready("b1", "m")
    queue.done("a0")
    assert queue.next(unlimited) == "b1"
    assert queue.refusal("c", 10 * MIB) is None


def test_there_is_always_room_for_what_can_start() -> None:
    queue: FairQueue[str, str] = FairQueue(3, limit=1, max_bytes=1)

    for ticket in ("a1", "a2", "a3"):
        assert queue.refusal("a", 2) is None
        queue.add("a", ticket, size_bytes=2)
    assert queue.refusal("a", 2) is not None


def test_tickets_that_wait_for_their_lane_or_to_be_ready_take_the_room_of_a_free_place() -> None:
    queue = filled(3, "a1", "a2", limit=1)
    started(queue, one)

    assert queue.refusal("a", 0) is None
    add(queue, ["a3"], lane=None)
    assert queue.refusal("a", 0) == "2 generations of this client wait already"


def test_lowering_the_places_below_what_runs_leaves_no_room_beyond_the_limit() -> None:
    queue = filled(3, "a1", "a2", "a3", "a4", limit=1)
    started(queue)

    queue.max_running = 1

    assert queue.refusal("a", 0) == "1 generation of this client waits already"


def test_a_removed_ticket_never_runs() -> None:
    queue = filled(1, "a1", "b1", "b2")

    queue.remove("b1")
    queue.remove("a1")

    assert drained(queue) == ["b2"]
    assert queue.waiting == 0


def test_a_ticket_that_is_not_ready_holds_up_nobody_and_keeps_its_place() -> None:
    queue: FairQueue[str, str] = FairQueue(1, 64)
    add(queue, ["a1"], lane=None)
    add(queue, ["b1", "b2", "b3", "a2"])

    assert queue.next(unlimited) == "a2"
    queue.done("a2")
    assert queue.next(unlimited) == "b1"
    queue.done("b1")
    queue.ready("a1", "m")
    assert drained(queue) == ["a1", "b2", "b3"]


def test_a_client_that_was_passed_over_stays_in_front() -> None:
    queue: FairQueue[str, str] = FairQueue(1, 64)
    add(queue, ["a1", "a2"], lane=None)
    add(queue, ["b1", "b2", "c1", "c2"])

    assert queue.next(unlimited) == "b1"
    queue.done("b1")
    queue.ready("a2", "m")
    queue.ready("a1", "m")
    assert drained(queue) == ["a1", "c1", "b2", "a2", "c2"]


def test_a_full_lane_holds_up_nobody_in_another_lane_also_not_of_the_same_client() -> None:
    queue = filled(4, "a1", "a2", "b1")
    add(queue, ["a3"], lane="other")

    assert started(queue, one) == ["a1", "a3"]
    queue.done("a1")
    assert started(queue, one) == ["b1"]
    queue.done("b1")
    assert started(queue, one) == ["a2"]


def test_a_lane_without_a_slot_counts_as_one_and_none_as_no_limit() -> None:
    assert started(filled(4, "a1", "a2"), lambda _: 0) == ["a1"]
    assert started(filled(4, "a1", "a2"), lambda _: -1) == ["a1"]
    assert started(filled(4, "a1", "a2"), lambda _: None) == ["a1", "a2"]


def test_a_ticket_may_change_its_lane_while_it_waits() -> None:
    queue = filled(4, "a1", "a2")
    assert started(queue, one) == ["a1"]

    queue.ready("a2", "other")

    assert started(queue, one) == ["a2"]
    assert queue.waiting == 0


def test_background_tickets_take_turns_when_no_other_waits() -> None:
    queue = filled(1, "A1", "A2", "B1", "b2", "a3")

    assert drained(queue) == ["b2", "a3", "A1", "B1", "A2"]


def test_background_waits_for_one_that_is_ready_but_not_for_one_that_is_not() -> None:
    queue = filled(3, "a1", "a2")
    add(queue, ["B1"], lane="other")
    add(queue, ["c1"], lane=None)

    assert started(queue, one) == ["a1"]  # a2 waits for its lane, and B1 for a2
    queue.remove("a2")
    assert started(queue, one) == ["B1"]  # c1 is not ready


def test_a_ticket_that_lost_its_turn_is_the_first_of_its_client() -> None:
    queue = filled(1, "a1", "a2", "b1")
    assert queue.next(unlimited) == "a1"
    queue.done("a1")

    queue.add("a", "a1", first=True)
    queue.ready("a1", "m")

    assert drained(queue) == ["b1", "a1", "a2"]


def test_the_order_takes_all_for_ready_and_the_lanes_for_free() -> None:
    queue = filled(1, "A9", "a1", "a2")
    add(queue, ["b1", "b2"], lane=None)

    assert queue.order() == ["a1", "b1", "a2", "b2", "A9"]
    assert queue.next(unlimited) == "a1"
    assert queue.order() == ["b1", "a2", "b2", "A9"]


def test_a_ticket_is_in_the_queue_once() -> None:
    queue = filled(1, "a1", "a2")
    queue.next(unlimited)

    for ticket in ("a1", "a2"):
        with pytest.raises(ValueError, match=f"'{ticket}' is in the queue already"):
            queue.add("a", ticket)
    assert (queue.running, queue.waiting) == (1, 1)


def test_a_queue_of_a_thousand_clients_and_more_is_emptied_in_order() -> None:
    """Also in all: a mistake that makes it quadratic in a slow way would meet the time limit."""
    queue: FairQueue[int, int] = FairQueue(1, 64)
    for ticket in range(4096):
        queue.add(ticket % 1024, ticket)
        queue.ready(ticket, str(ticket % 3))

    for expected in range(4096):
        assert queue.next(unlimited) == expected
        queue.done(expected)
    assert queue.waiting == 0
