"""Who is let in, and when: with a listener that is real, and libzmq's part done by hand."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.transport.admission import SPARE_DESCRIPTORS, Admission
from devsynthd.transport.claim import Claim
from devsynthd.transport.poller_entry import PollerEntry


class Entry(PollerEntry):
    """Notes what is to be told; by hand, since nobody polls."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[str] = asyncio.Queue()

    def tell_nothing(self) -> None:
        self.told.put_nowait("nothing")

    def tell_once(self) -> None:
        self.told.put_nowait("once")


class Room:
    """How many may be let in."""

    def __init__(self, places: int) -> None:
        self.places = places
        self.asked = asyncio.Event()

    def can_open(self, count: int) -> bool:
        assert count == SPARE_DESCRIPTORS
        self.asked.set()
        self.places -= 1
        return self.places >= 0


@contextlib.contextmanager
def waiting(path: Path, count: int) -> Iterator[None]:
    with contextlib.ExitStack() as exits:
        for _ in range(count):
            exits.enter_context(socket.socket(socket.AF_UNIX)).connect(str(path))
        yield


def test_one_is_let_in_at_a_time(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        entry = Entry()
        with Claim(path) as claim, claim.listen() as theirs:
            admission = Admission(theirs.dup(), entry)
            assert await entry.told.get() == "nothing"
            with waiting(path, 3):
                for _ in range(3):
                    assert await entry.told.get() == "once"
                    for _ in range(20):
                        await asyncio.sleep(0)
                    assert entry.told.empty(), "the next one has to wait"
                    theirs.accept()[0].close()
                    admission.accepted()
                assert entry.told.empty()
            admission.close()

    asyncio.run(scenario())


def test_without_descriptors_nobody_is_let_in(
    short_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = short_dir / "s"
    caplog.set_level("INFO")

    async def scenario() -> None:
        entry, room = Entry(), Room(0)
        with Claim(path) as claim, claim.listen() as theirs:
            admission = Admission(theirs.dup(), entry, room.can_open)
            await entry.told.get()
            with waiting(path, 2):
                await room.asked.wait()
                assert admission.is_shut
                assert entry.told.empty()
                room.places = 2
                for is_shut in (True, False):  # the second one waits still
                    assert await entry.told.get() == "once"
                    theirs.accept()[0].close()
                    admission.accepted()
                    assert admission.is_shut == is_shut
            admission.close()

    asyncio.run(scenario())
    assert [record.message.split(":")[0] for record in caplog.records] == [
        "too many files are open",
        "new clients are let in again",
    ]


def test_a_closed_one_lets_nobody_in(short_dir: Path) -> None:
    path = short_dir / "s"

    async def scenario() -> None:
        entry, room = Entry(), Room(0)
        with Claim(path) as claim, claim.listen() as theirs:
            admission = Admission(theirs.dup(), entry, room.can_open)
            await entry.told.get()
            with waiting(path, 1):
                await room.asked.wait()
                admission.close()
                admission.accepted()
                assert entry.told.empty()

    asyncio.run(scenario())


def test_what_nobody_polls_has_no_entry(short_dir: Path) -> None:
    with Claim(short_dir / "s") as claim, claim.listen() as listener:
        assert PollerEntry.find(listener.fileno()) is None
