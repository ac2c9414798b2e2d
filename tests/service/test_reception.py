"""What clients and bugs can do between two turns of the event loop, where no socket can aim."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from devsynthd.service.answer import Answers, Work
from devsynthd.service.call import Call, Client, Frames
from devsynthd.service.reception import Reception
from devsynthd.service.register import Register
from devsynthd.service.status import Tally
from devsynthd.wire.requests import AnyRequest
from devsynthd.wire.results import AnyResult, Empty
from tests.service.asking import error

PING = [msgspec.msgpack.encode({"op": "ping", "id": 1})]


async def nothing_waits(_but_for: Collection[Client]) -> None:
    """Say that all clients have been sent everything."""


class Member:
    """A client that keeps what it is sent."""

    uid: int | None = None
    pid: int | None = None
    is_req = False
    is_own = False
    writable = True

    def __init__(self) -> None:
        self.replies: list[dict[str, Any]] = []

    def send(self, frames: Frames) -> None:
        self.replies.append(msgspec.msgpack.decode(frames[-1]))


class Room:
    """A reception whose every request is answered by *answer*."""

    def __init__(self, answer: Callable[[], AnyResult | Work], tasks: asyncio.TaskGroup) -> None:
        class Same(Answers):
            def __init__(self) -> None:
                """Need nobody."""

            def answer(self, request: AnyRequest, call: Call) -> AnyResult | Work:  # noqa: ARG002 - the same for all
                return answer()

        self.register, self.tally = Register(), Tally()
        self.reception = Reception(
            Same(),
            self.register,
            self.tally,
            tasks,
            users=frozenset(),
            connected=lambda _: None,
        )


@asynccontextmanager
async def room(answer: Callable[[], AnyResult | Work]) -> AsyncIterator[Room]:
    async with asyncio.TaskGroup() as tasks:
        yield Room(answer, tasks)


async def never() -> AnyResult:
    await asyncio.Event().wait()
    return Empty()


async def broken() -> AnyResult:
    raise RuntimeError("secret words")


def broken_at_once() -> AnyResult:
    raise RuntimeError("secret words")


@pytest.mark.parametrize("ending", ["left", "stalled"])
def test_request_that_ends_before_its_work_has_begun(ending: str) -> None:
    async def main() -> None:
        member = Member()
        async with room(never) as here:
            here.reception.received(member, PING)
            getattr(here.reception, ending)(member)
            async with asyncio.timeout(5):
                await here.reception.drain(0, nothing_waits)

            assert [error(reply)["code"] for reply in member.replies] == ["cancelled"]
            assert here.register.all() == []
            assert here.tally.cancelled == 1

    asyncio.run(main())


def test_drain_before_the_work_has_begun() -> None:
    async def main() -> None:
        member = Member()
        async with room(never) as here:
            here.reception.received(member, PING)
            async with asyncio.timeout(5):
                await here.reception.drain(0, nothing_waits)

            assert [error(reply)["code"] for reply in member.replies] == ["cancelled"]

    asyncio.run(main())


@pytest.mark.parametrize("answer", [broken, broken_at_once])
def test_bug_is_logged_with_its_traceback_and_told_without(
    answer: Callable[[], AnyResult | Work], caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> list[dict[str, Any]]:
        member = Member()
        async with room(answer) as here:
            here.reception.received(member, PING)
            here.reception.received(Member(), PING)
        return member.replies

    (reply,) = asyncio.run(main())

    problem = error(reply)
    assert problem["code"] == "internal"
    assert "secret" not in str(problem)
    logged = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(logged) == 2
    assert all(record.exc_info is not None for record in logged)
    assert "secret words" in caplog.text


def test_result_that_cannot_be_encoded_is_a_bug_too() -> None:
    class Huge(Empty, frozen=True):
        count: int = 10**30

    async def late() -> AnyResult:
        return Huge()

    async def main() -> list[dict[str, Any]]:
        member = Member()
        async with room(Huge) as at_once, room(late) as later:
            at_once.reception.received(member, PING)
            later.reception.received(member, PING)
        return member.replies

    assert [error(reply)["code"] for reply in asyncio.run(main())] == ["internal", "internal"]
