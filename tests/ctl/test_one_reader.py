"""Of the threads that wait on one connection, one reads at a time."""

import threading
import time
from pathlib import Path

from devsynthctl.connection import HungUp
from devsynthctl.session import Inbox, Session


class Silent:
    """A connection on which nothing comes until *over*; counts those that read."""

    holds_bodies = ended = False

    def __init__(self) -> None:
        self.read_by = 0
        self.is_read, self.over = threading.Event(), threading.Event()

    def receive(self, _until: float | None) -> list[bytes]:
        self.read_by += 1
        self.is_read.set()
        assert self.over.wait(10)
        return []


def test_who_need_not_wait_does_not_free_the_place_of_the_reader(tmp_path: Path) -> None:
    connection = Silent()
    session = Session(connection, tmp_path, "tests", None)  # type: ignore[arg-type]  # all it needs
    reader = threading.Thread(target=session.read, args=(time.monotonic(),))
    reader.start()
    assert connection.is_read.wait(10)

    content = Inbox(session, 1)
    content.end(HungUp)
    assert session.read(None, content)
    assert not session.read(time.monotonic())  # it only waits for the reader

    assert connection.read_by == 1
    connection.over.set()
    reader.join()
