"""Waiting for a turn, on a real event loop."""

import asyncio
import gc
import weakref

import pytest

from devsynthd.scheduling.turns import Turns
from devsynthd.wire.errors import QueueFull
from tests.unit.scheduling.jobs import Job, ended, passes, run

MIB = 2**20


def test_what_starts_at_once_is_told_no_position() -> None:
    async def check(turns: Turns) -> None:
        job = Job(turns, "a")
        await passes()
        assert job.runs
        assert (job.moves, job.position) == ([], None)
        await ended(job)

    run(check, Turns(1, 64))


def test_a_free_turn_is_taken_within_the_same_pass_of_the_loop() -> None:
    async def check(turns: Turns) -> None:
        went_round = False

        def notice() -> None:
            nonlocal went_round
            went_round = True

        asyncio.get_running_loop().call_soon(notice)
        async with turns.place("a", "a1") as place, place.turn("m"):
            assert not went_round

    run(check, Turns(1, 64))


def test_turns_are_passed_on_between_clients() -> None:
    async def check(turns: Turns) -> None:
        jobs = [Job(turns, client) for client in "aaab"]
        a1, a2, a3, b1 = jobs
        await passes()
        assert [job.runs for job in jobs] == [True, False, False, False]
        for done, following in ((a1, a2), (a2, b1), (b1, a3)):
            done.end()
            await done.task
            await passes()
            assert following.runs
            assert turns.queue.running == 1
        await ended(a3)

    run(check, Turns(1, 64))


def test_positions_are_told_once_and_whenever_they_have_changed() -> None:
    async def check(turns: Turns) -> None:
        runs, a1, a2, b1 = (Job(turns, client) for client in "aaab")
        await passes()
        assert [job.position for job in (runs, a1, a2, b1)] == [None, 0, 2, 1]
        assert [job.moves for job in (runs, a1, a2, b1)] == [[], [0], [2], [1]]
        await ended(runs)
        await passes()
        assert [job.moves for job in (a1, a2, b1)] == [[0], [2, 1], [1, 0]]
        await ended(a1)
        await passes()
        assert [job.moves for job in (a1, a2, b1)] == [[0], [2, 1, 0], [1, 0]]
        await ended(b1, a2)

    run(check, Turns(1, 64))


def test_changes_within_one_pass_are_told_as_one() -> None:
    async def check(turns: Turns) -> None:
        runs, *others, last = (Job(turns, "a") for _ in range(10))
        await passes()
        assert last.moves == [8]
        for job in others:
            job.cancel()
        await passes()
        assert last.moves == [8, 0]
        await ended(runs, last)

    run(check, Turns(1, 64))


class Costly:
    """A ticket that counts how often it is looked up."""

    def __init__(self) -> None:
        self.look_ups = 0

    def __hash__(self) -> int:
        self.look_ups += 1
        return id(self)

    def __eq__(self, other: object) -> bool:
        return self is other

    async def look_ups_of(self, *jobs: Job) -> int:
        """Return how often it is looked up while *jobs* leave within one pass of the loop."""
        before = self.look_ups
        for job in jobs:
            job.cancel()
        await passes()
        return self.look_ups - before


def test_many_changes_within_one_pass_cost_those_who_wait_no_more_than_one() -> None:
    async def check(turns: Turns) -> None:
        runs, ticket, moves = Job(turns, "a"), Costly(), list[int]()
        await passes()
        one, *many = (Job(turns, "a") for _ in range(10))
        await passes()
        async with turns.place("a", ticket, moved=moves.append):
            await passes()
            assert await ticket.look_ups_of(one) == await ticket.look_ups_of(*many) > 0
        assert moves == [10, 9, 0]
        await ended(runs)

    run(check, Turns(1, 64))


def test_positions_cost_nothing_if_nobody_listens() -> None:
    async def check(turns: Turns) -> None:
        ticket = Costly()
        async with turns.place("a", "runs") as place, place.turn("m"), turns.place("a", ticket):
            before = ticket.look_ups
            for number in range(10):
                async with turns.place("b", number):
                    await passes()
            assert ticket.look_ups == before

    run(check, Turns(1, 64))


class Listener:
    """Takes positions, and can be referred to weakly."""

    def moved(self, _: int) -> None:
        """Take a position."""


def test_a_listener_is_forgotten_once_its_ticket_no_longer_waits() -> None:
    async def check(turns: Turns) -> None:
        served, gone = Listener(), Listener()
        known = [weakref.ref(served), weakref.ref(gone)]
        async with (
            turns.place("a", "a1", moved=served.moved) as place,
            turns.place("a", "a2", moved=gone.moved),
            place.turn("m"),
        ):
            await passes()
        del served, gone, place
        await passes()
        gc.collect()
        assert [reference() for reference in known] == [None, None]

    run(check, Turns(1, 64))


def test_a_listener_that_changes_the_queue_is_taken_into_account_at_once() -> None:
    async def check(turns: Turns) -> None:
        moves: list[int] = []

        def moved(position: int) -> None:
            moves.append(position)
            if position == 0:
                turns.resize(2, 64)

        runs, gone = Job(turns, "a"), Job(turns, "a")
        await passes()
        async with turns.place("b", "not ready", moved=moved):
            starts = Job(turns, "b")
            await passes()
            assert (moves, starts.moves) == ([1], [2])
            gone.cancel()
            await passes()
            assert starts.runs
            assert (moves, starts.moves) == ([1, 0], [2])
        await ended(runs, starts)

    run(check, Turns(1, 64))


def test_a_place_may_be_left_without_a_turn() -> None:
    async def check(turns: Turns) -> None:
        async with turns.place("a", "a1"):
            job = Job(turns, "a", ready=False)
            await passes()
            assert (turns.position("a1"), job.position) == (0, 1)
            assert turns.queue.waiting == 2
        await passes()
        assert (turns.position("a1"), job.moves) == (None, [1, 0])
        job.ready()
        await ended(job)

    run(check, Turns(1, 64))


def test_who_is_not_ready_holds_up_nobody() -> None:
    async def check(turns: Turns) -> None:
        slow, quick = Job(turns, "a", ready=False), Job(turns, "a")
        await passes()
        assert (slow.runs, quick.runs) == (False, True)
        slow.ready()
        await ended(quick)
        await passes()
        assert slow.runs
        await ended(slow)

    run(check, Turns(1, 64))


def test_a_second_turn_is_waited_for_at_the_head_of_the_line() -> None:
    async def check(turns: Turns) -> None:
        twice = Job(turns, "a", rounds=2)
        await passes()
        a2, a3, b1 = (Job(turns, client) for client in "aab")
        await passes()
        twice.end()
        await passes()
        assert (a2.runs, twice.turns_taken) == (True, 1)
        assert [job.position for job in (b1, twice, a3)] == [0, 1, 2]
        assert twice.moves == [1]
        await ended(a2)
        await passes()
        assert (b1.runs, twice.moves) == (True, [1, 0])
        await ended(b1)
        await passes()
        assert (twice.turns_taken, a3.turns_taken, twice.moves) == (2, 0, [1, 0])
        await ended(twice, a3)

    run(check, Turns(1, 64))


def test_a_second_turn_needs_no_room_since_the_ticket_was_let_in_before() -> None:
    async def check(turns: Turns) -> None:
        twice = Job(turns, "a", rounds=2)
        await passes()
        full = Job(turns, "a")
        await passes()
        twice.end()
        await passes()
        assert full.runs
        assert twice.position == 0
        late = Job(turns, "a")
        await passes()
        assert isinstance(late.task.exception(), QueueFull)
        await ended(full, twice)

    run(check, Turns(1, limit=1))


def test_a_turn_within_a_turn_is_refused_and_the_outer_one_goes_on() -> None:
    async def check(turns: Turns) -> None:
        async with turns.place("a", "a1") as place, place.turn("m"):
            with pytest.raises(ValueError, match="in the queue already"):
                await place.turn("m").__aenter__()
            assert turns.queue.running == 1

    run(check, Turns(2, 64))


def test_an_error_inside_passes_the_turn_on() -> None:
    async def fail(turns: Turns) -> None:
        async with turns.place("a", "a1") as place, place.turn("m"):
            raise OSError

    async def check(turns: Turns) -> None:
        with pytest.raises(OSError, match=r"^$"):
            await fail(turns)

    run(check, Turns(1, 64))


def test_background_runs_when_nothing_else_waits() -> None:
    async def check(turns: Turns) -> None:
        runs = Job(turns, "a")
        await passes()
        late, early = Job(turns, "a", background=True), Job(turns, "b")
        await passes()
        assert (late.position, early.position) == (1, 0)
        await ended(runs)
        assert not late.runs
        await ended(early)
        await passes()
        assert late.runs
        await ended(late)

    run(check, Turns(1, 64))


def test_background_starts_when_the_last_that_it_waited_for_is_cancelled() -> None:
    async def check(turns: Turns) -> None:
        runs, stuck = Job(turns, "a"), Job(turns, "a")
        await passes()
        late = Job(turns, "b", lane="other", background=True)
        await passes()
        assert not late.runs
        stuck.cancel()
        await passes()
        assert late.runs
        await ended(runs, late)

    run(check, Turns(2, 64, lambda _: 1))


def test_other_limits_take_effect_on_those_who_wait() -> None:
    async def check(turns: Turns) -> None:
        jobs = [Job(turns, "a") for _ in range(4)]
        await passes()
        turns.resize(3, 64)
        await passes()
        assert [job.runs for job in jobs] == [True, True, True, False]
        turns.resize(1, 64)
        await ended(*jobs[:2])
        await passes()
        assert not jobs[3].runs
        await ended(jobs[2])
        await passes()
        assert jobs[3].runs
        await ended(jobs[3])

    run(check, Turns(1, 64))


def test_more_slots_of_a_lane_take_effect_with_a_look() -> None:
    slots: dict[str, int | None] = {"m": 1}

    async def check(turns: Turns) -> None:
        jobs = [Job(turns, "a") for _ in range(3)]
        other = Job(turns, "a", lane="other")
        await passes()
        assert [job.runs for job in (*jobs, other)] == [True, False, False, True]
        slots["m"] = 2
        turns.look_anew()
        await passes()
        assert [job.runs for job in jobs] == [True, True, False]
        slots["m"] = None
        turns.look_anew()
        await passes()
        assert jobs[2].runs
        await ended(*jobs, other)

    run(check, Turns(4, 64, slots.get))


def test_who_waits_is_moved_with_its_model_to_another_lane() -> None:
    lanes = {"m": "first"}
    slots: dict[str, int | None] = {"first": 1, "second": 1}

    async def check(turns: Turns) -> None:
        jobs = [Job(turns, "a") for _ in range(4)]
        await passes()
        assert [job.runs for job in jobs] == [True, False, False, False]
        lanes["m"] = "second"
        turns.look_anew()
        await passes()
        assert [job.runs for job in jobs] == [True, True, False, False]
        await ended(jobs[0])  # its lane is not theirs any more
        await passes()
        assert [job.runs for job in jobs[1:]] == [True, False, False]
        for job in jobs[1:]:
            await ended(job)
            await passes()

    run(check, Turns(4, 64, slots.get, lambda model: lanes[model]))


def test_a_full_queue_keeps_nobody_from_an_idle_model() -> None:
    slots: dict[str, int | None] = {"busy": 1, "idle": 1}

    async def check(turns: Turns) -> None:
        jobs = [Job(turns, "a", lane="busy") for _ in range(4)]
        await passes()
        assert turns.queue.waiting == 3
        with pytest.raises(QueueFull):
            async with turns.place("a", "more", model="busy"):
                pass
        async with turns.place("a", "other", model="idle") as place, place.turn("idle"):
            with pytest.raises(QueueFull):
                async with turns.place("a", "another", model="idle"):
                    pass
        for job in jobs:
            await ended(job)
            await passes()

    run(check, Turns(4, 3, slots.get))


def test_who_lost_its_turn_can_wait_before_it_is_known_for_what() -> None:
    async def check(turns: Turns) -> None:
        moves: list[int] = []
        async with turns.place("a", "ticket", moved=moves.append) as place:
            async with place.turn("m"):
                pass
            assert turns.queue.waiting == 0
            place.wait_again()
            await passes()
            assert (turns.queue.waiting, turns.position("ticket"), moves) == (1, 0, [0])
            async with place.turn("n"):
                assert (turns.queue.running, turns.queue.waiting) == (1, 0)

    run(check, Turns(1, 64))


def test_who_finds_no_room_learns_why_and_what_to_do() -> None:
    async def refusal(turns: Turns, client: str, size_bytes: int = 0) -> tuple[str, str | None]:
        with pytest.raises(QueueFull) as caught:
            await turns.place(client, "late", size_bytes=size_bytes).__aenter__()
        return str(caught.value), caught.value.hint

    async def check(turns: Turns) -> None:
        runs = Job(turns, "a")
        await passes()
        async with turns.place("b", "b1", size_bytes=250 * MIB):
            assert await refusal(turns, "b") == (
                "1 generation of this client waits already",
                "try again later, or raise daemon_queue_limit",
            )
            assert await refusal(turns, "c", 7 * MIB) == (
                "250 of 256 MiB of requests wait already",
                "try again later, or send less at once",
            )
        await ended(runs)

    run(check, Turns(1, limit=1))
