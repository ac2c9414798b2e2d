"""People who edit the config file of a running daemon, well, badly, and in the ways of editors."""

import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

from devsynthctl import Client
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.requests import Value
from devsynthd.wire.results import SettingsReport
from tests.soak.book import Book, State
from tests.soak.desk import Desk
from tests.soak.plan import Order
from tests.soak.upstream import SoakUpstream

IN_FORCE_S = 20.0  # on a busy machine
LOOK_S = 0.02

_MISTAKES = ("\nmax_tokens = \n", "\n[llm]\n", "\n[daemon_]\nqueue = 3\n", "\n\x00\n")


def in_place(path: Path, text: str) -> None:
    """Save as ``ed`` and ``nano`` do."""
    path.write_text(text, "utf-8")


def in_pieces(path: Path, text: str) -> None:
    """Save line by line."""
    with path.open("w", encoding="utf-8") as file:
        for line in text.splitlines(keepends=True):
            file.write(line)
            file.flush()


def renamed_over(path: Path, text: str) -> None:
    """Save as most do."""
    new = path.with_name(".config.toml.swp")
    new.write_text(text, "utf-8")
    new.replace(path)


def deleted_and_created(path: Path, text: str) -> None:
    """Save as a few do."""
    path.unlink()
    path.write_text(text, "utf-8")


def backed_up_by_renaming(path: Path, text: str) -> None:
    """Save as vim does with ``backupcopy=no``."""
    backup = path.with_name("config.toml~")
    path.rename(backup)
    path.write_text(text, "utf-8")
    backup.unlink()


SAVES: tuple[Callable[[Path, str], None], ...] = (
    in_place,
    in_pieces,
    renamed_over,
    deleted_and_created,
    backed_up_by_renaming,
)


class Editor:
    """One step is one edit, and a look whether it is in force."""

    def __init__(
        self, book: Book, endpoint: str, desk: Desk, upstream: SoakUpstream, draw: random.Random
    ) -> None:
        self._book, self._desk, self._upstream, self._draw = book, desk, upstream, draw
        self._client = Client(endpoint)

    def step(self, over: threading.Event) -> None:
        """Edit the file in one way or another."""
        over.wait(self._draw.uniform(0.1, 1.5))
        match self._draw.randrange(10):
            case 0:
                self._move(over)
            case 1:
                self._delete(over)
            case 2 | 3:
                self._make_a_mistake(over)
            case _:
                self._save({"llm_idle_timeout": self._draw.randint(100, 200)})

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _save(self, changed: dict[str, Value]) -> None:
        save = self._draw.choice(SAVES)
        with self._book.alone(), self._book.unseen():
            save(self._book.path, self._book.text(changed))
            self._book.edited(changed)
        self._desk.did(f"edits: {save.__name__.replace('_', ' ')}")
        self._wait_in_force(*next(iter(changed.items())))

    def _move(self, over: threading.Event) -> None:
        """Go to one of the two servers."""
        with self._upstream.outages.during():
            self._save({**self._draw.choice(self._upstream.servers)})
            over.wait(0.3)

    def _delete(self, over: threading.Event) -> None:
        """Delete the file, and have it back from somewhere."""
        book = self._book
        with self._upstream.outages.during(), book.alone():
            text = book.text({})
            with book.unseen():
                book.path.unlink()
                book.state = State.AWAY
            over.wait(self._draw.uniform(0.05, 0.6))
            with book.unseen():
                renamed_over(book.path, text)
                book.edited({})
        self._desk.did("edits: deleted for a while")

    def _make_a_mistake(self, over: threading.Event) -> None:
        """Save what is not valid, and what is a little later."""
        book = self._book
        with book.alone(), book.unseen():
            text = book.text({})
            book.broken_text = text + self._draw.choice(_MISTAKES)
            self._draw.choice(SAVES)(book.path, book.broken_text)
            book.edited({})
            book.state = State.BROKEN
        over.wait(self._draw.uniform(0.05, 1))
        with book.unseen():  # clients may ask meanwhile: they are refused
            renamed_over(book.path, text)
            book.state = State.WHOLE
        self._desk.did("edits: not valid for a while")

    def _wait_in_force(self, key: str, value: Value) -> None:
        since = time.monotonic()
        found: Value | None = None
        while time.monotonic() < since + IN_FORCE_S:
            entry = self._desk.open(Order(op="config_get", fields={"key": key}))
            try:
                report: SettingsReport = self._client.config_get(key)
            except DevsynthError as exc:
                self._desk.error(entry, exc)
            else:
                self._desk.result(entry, report)
                found = report.settings[0].value
                if found == value:
                    return
            time.sleep(LOOK_S)  # there are events for that; here it is looked at
        if not self._desk.trouble(since).daemon:
            self._desk.tell(f"{key} = {value}", [f"not in force after {IN_FORCE_S:g} s: {found}"])


class Reader:
    """Looks at the files all the time: none of them is ever half there."""

    def __init__(
        self, book: Book, caches: Path, desk: Desk, problems_of: Callable[[Path], list[str]]
    ) -> None:
        self._book, self._caches, self._desk = book, caches, desk
        self._problems_of = problems_of

    def step(self, over: threading.Event) -> None:
        """Look once."""
        self._desk.tell(self._book.path, self._book.problems())
        for path in self._caches.glob("models-*.json"):
            self._desk.tell(path, self._problems_of(path))
        self._desk.did("looks at the files")
        over.wait(LOOK_S / 4)

    def close(self) -> None:
        """Nothing is held."""
