"""Random histories of jobs that start, are cancelled, end and are resized."""

import asyncio
from itertools import pairwise
from typing import TypeAlias

from hypothesis import given, settings
from hypothesis import strategies as st

from devsynthd.scheduling.turns import Turns
from devsynthd.wire.errors import QueueFull
from tests.unit.scheduling.jobs import Job, passes

Step: TypeAlias = tuple[str, int, int]

PICKS = st.integers(0, 30)
STEPS: st.SearchStrategy[list[Step]] = st.lists(
    st.one_of(
        st.tuples(st.just("start"), st.integers(0, 5), st.integers(0, 7)),
        st.tuples(st.sampled_from(["cancel", "end", "ready"]), PICKS, st.just(0)),
        st.tuples(st.just("resize"), st.integers(1, 3), st.integers(1, 4)),
        st.tuples(st.just("slots"), st.integers(0, 1), st.integers(0, 3)),
        st.tuples(st.just("pass"), st.integers(1, 4), st.just(0)),
    ),
    max_size=60,
)


class Play:
    """Jobs that follow a list of steps."""

    def __init__(self) -> None:
        self.slots: dict[str, int] = {}
        self.turns = Turns(2, 3, self.slots.get)
        self.jobs: list[Job] = []

    async def step(self, what: str, first: int, second: int) -> None:
        """Do one step; only ``pass`` lets the tasks notice anything."""
        picked = self.jobs[first % len(self.jobs)] if self.jobs else None
        if what == "start":
            job = Job(
                self.turns,
                "abc"[first % 3],
                lane="xy"[first // 3],
                background=bool(second & 1),
                ready=bool(second & 2),
                rounds=2 if second & 4 else 1,
            )
            self.jobs.append(job)
        elif what == "resize":
            self.turns.resize(first, second)
        elif what == "slots":
            self.slots["xy"[first]] = second
            self.turns.look()
        elif what == "pass":
            await passes(first)
        elif picked is not None:
            getattr(picked, what)()

    async def settle(self) -> None:
        """Let all tasks notice what happened, and compare what they know with the queue."""
        await passes(10)
        running = [job for job in self.jobs if job.runs]
        assert self.turns.queue.running == len(running)
        waiting = [job for job in self.jobs if job.position is not None]
        assert sorted(job.position or 0 for job in waiting) == list(range(len(waiting)))
        assert self.turns.queue.waiting == len(waiting)
        assert not set(running) & set(waiting)
        for job in waiting:
            assert job.moves[-1] == job.position

    async def finish(self) -> None:
        """Let every job come to its end, with one pass after another but no other help."""
        for _ in range(20 * (len(self.jobs) + 1)):
            for job in self.jobs:
                job.ready()
                if job.runs:
                    job.end()
            await asyncio.sleep(0)
        assert all(job.task.done() for job in self.jobs)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_every_job_has_its_turns_or_is_cancelled_and_nothing_is_left(steps: list[Step]) -> None:
    complaints: list[str] = []

    async def play() -> Play:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: complaints.append(context["message"])
        )
        played = Play()
        for step in steps:
            await played.step(*step)
        await played.settle()
        await played.finish()
        return played

    played = asyncio.run(play())

    assert complaints == []
    assert (played.turns.queue.running, played.turns.queue.waiting) == (0, 0)
    assert played.turns.queue.fits(played.turns.queue.max_bytes)
    for job in played.jobs:
        if job.task.cancelled():
            assert job.is_cancelled
        elif not job.admitted:
            assert isinstance(job.task.exception(), QueueFull)
        else:
            assert job.task.exception() is None
            assert job.turns_taken == job.rounds
        if job.rounds == 1:
            assert all(before != now for before, now in pairwise(job.moves))
