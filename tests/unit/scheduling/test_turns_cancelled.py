"""Who is cancelled or gives up, at whatever moment, leaves the queue as if it had never come."""

import asyncio

import pytest

from devsynthd.scheduling.turns import Turns
from tests.unit.scheduling.jobs import Job, ended, passes, run


def test_who_is_cancelled_while_waiting_is_gone_and_the_others_move_up() -> None:
    async def check(turns: Turns) -> None:
        runs, gone, last = (Job(turns, "a") for _ in range(3))
        await passes()
        gone.cancel()
        await passes()
        assert gone.task.cancelled()
        assert (gone.position, last.position, last.moves) == (None, 0, [1, 0])
        await ended(runs)
        await passes()
        assert (gone.turns_taken, last.runs) == (0, True)
        await ended(last)

    run(check, Turns(1, 64))


def test_who_is_cancelled_before_it_was_ready_is_gone() -> None:
    async def check(turns: Turns) -> None:
        gone = Job(turns, "a", ready=False)
        await passes()
        gone.cancel()
        await passes()
        assert turns.queue.waiting == 0

    run(check, Turns(1, 64))


def test_who_is_cancelled_inside_passes_the_turn_on() -> None:
    async def check(turns: Turns) -> None:
        gone, following = Job(turns, "a"), Job(turns, "a")
        await passes()
        gone.cancel()
        await passes()
        assert (gone.runs, following.runs) == (False, True)
        await ended(following)

    run(check, Turns(1, 64))


def test_who_is_given_its_turn_and_cancelled_in_the_same_moment_passes_it_on() -> None:
    async def check(turns: Turns) -> None:
        runs, gone, following = (Job(turns, "a") for _ in range(3))
        await passes()
        turns.resize(2, 64)  # gives the turn to the one
        gone.cancel()  # that has not noticed it yet
        await passes()
        assert gone.task.cancelled()
        assert (gone.turns_taken, following.runs, turns.queue.running) == (0, True, 2)
        await ended(runs, following)

    run(check, Turns(1, 64))


def test_who_is_cancelled_and_given_its_turn_in_the_same_moment_passes_it_on() -> None:
    async def check(turns: Turns) -> None:
        runs, gone, following = (Job(turns, "a") for _ in range(3))
        await passes()
        gone.cancel()  # its task has not noticed it yet
        turns.resize(2, 64)  # so that it is still in line
        await passes()
        assert gone.task.cancelled()
        assert (gone.turns_taken, following.runs, turns.queue.running) == (0, True, 2)
        await ended(runs, following)

    run(check, Turns(1, 64))


def test_who_gives_up_waiting_for_a_turn_may_wait_again() -> None:
    async def check(turns: Turns) -> None:
        runs = Job(turns, "a")
        await passes()
        async with turns.place("a", "a1") as place:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0), place.turn("m"):
                    pass
            assert turns.position("a1") is None
            runs.end()
            async with place.turn("m"):
                assert turns.queue.running == 1

    run(check, Turns(1, 64))
