"""What every command works with: the options of the root, the client, and where output goes."""

import math
import os
import select
import sys
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Raw

from devsynthctl.errors import info_of
from devsynthctl.render.as_json import error_line, result_line
from devsynthctl.render.text import printable, tab_separated
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.objects import Warn

if TYPE_CHECKING:
    from devsynthctl.call import OnProgress
    from devsynthctl.client import Client
    from devsynthctl.render.waiting import Waiting


_SILENCE_S = 1.0
"""How long a request waits for the next daemon before a person is told of it."""


class App:
    """One run of the command. Answers go to stdout, all else to stderr.

    Attributes:
        address: The socket as ``--socket`` gives it; null: found by the common rule.
        timeout_s: Until the deadline of requests; null: none.
        as_json: Whether answers and errors are written as JSON.
        color: Whether a terminal may be written to in colour.
    """

    def __init__(self) -> None:
        self.address: str | None = None
        self.timeout_s: float | None = None
        self.as_json = False
        self.color = True
        self.on_terminal = sys.stdout.isatty()
        self._at_line_start = True
        self._has_told_away = False

    @property
    def reads_terminal(self) -> bool:
        """Whether stdin is a terminal."""
        return sys.stdin is not None and sys.stdin.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether a person at a terminal sees a question, and can answer it."""
        return self.reads_terminal and sys.stderr.isatty()

    @property
    def can_draw(self) -> bool:
        """Whether stdout is a terminal that can be drawn on, over and over."""
        return self.on_terminal and not _is_dumb()

    @property
    def width(self) -> float:
        """How many columns there are for a table; no limit in a pipe."""
        if not self.on_terminal:
            return math.inf
        from shutil import get_terminal_size  # noqa: PLC0415 - it brings all kinds of archives

        return get_terminal_size().columns

    def client(self, *, endless: bool = False) -> "Client":
        """Return a client for this run; use it in a ``with``.

        *endless*: its requests have no deadline, also if a timeout was given, and raise what a
        daemon says that shuts down: whoever watches waits for the next one in its own way.
        """
        # Not to complete a word, or for help.
        from devsynthctl.attempts import raise_shutdown  # noqa: PLC0415 - see above
        from devsynthctl.client import Client  # noqa: PLC0415 - see above

        timeout_s = None if endless else self.timeout_s
        on_away = raise_shutdown if endless else self.tell_away
        return Client(self.address, timeout=timeout_s, on_idle=self.check_reader, on_away=on_away)

    def check_reader(self) -> None:
        """Look whether somebody can still read stdout, while nothing is written to it.

        Raises:
            BrokenPipeError: It is a pipe, and whoever read it has left.
        """
        poller = select.poll()
        poller.register(sys.stdout, 0)
        told = [events for _, events in poller.poll(0)]
        if told and told[0] & (select.POLLERR | select.POLLHUP):
            raise BrokenPipeError

    def print(self, text: str) -> None:
        """Write *text*, which is clean already, to stdout."""
        sys.stdout.write(text)

    def print_now(self, text: str) -> None:
        """Write *text*, which is clean already, and do not keep whoever reads it waiting."""
        sys.stdout.write(text)
        sys.stdout.flush()

    def print_table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        long: Container[str],
        *,
        gives: Iterable[tuple[str, int]] = (),
        marked: bool = False,
    ) -> None:
        """Write *rows* as a table on a terminal, else as tab-separated lines below a header.

        On a narrow terminal the columns in *gives* give way, in their order, down to the number of
        characters beside them, or altogether for 0; after them, those in *long* fold. *marked*:
        the last column marks rows with a ``*``.
        """
        if self.on_terminal:
            # A fifth of a second to import, so only for eyes.
            from devsynthctl.render.table import print_table  # noqa: PLC0415

            print_table(
                columns,
                rows,
                sys.stdout,
                long=long,
                gives=gives,
                color=self.color,
                marked=marked,
            )
        else:
            self.print(tab_separated([columns, *rows]))

    def progress(self, title: str, *, bar: bool) -> "AbstractContextManager[OnProgress | None]":
        """Draw how far something is while the block runs, with or without a *bar*, on stderr.

        The block gets whom to tell; null where nobody looks.
        """
        if self.as_json or not sys.stderr.isatty():
            return nullcontext()
        from devsynthctl.render.progress import drawn  # noqa: PLC0415 - as slow as the table

        return drawn(title, sys.stderr, bar=bar, color=self.color)

    def waiting(self, model: str | None) -> AbstractContextManager["Waiting | None"]:
        """Tell on stderr what an answer of *model* waits for, if that takes a while.

        The block gets whom to tell; null where nobody looks.
        """
        if self.as_json or not sys.stderr.isatty():
            return nullcontext()
        from devsynthctl.render.waiting import Waiting  # noqa: PLC0415 - for eyes only

        return Waiting(sys.stderr, model, color=self.color)

    def answer(self, result: Raw, show: Callable[[], None]) -> None:
        """Write *result* as JSON if that was asked for, else have *show* write it for people."""
        if self.as_json:
            self.print(result_line(result))
        else:
            show()

    def print_generated(self, text: str) -> None:
        """Write a piece of a model's *text* at once: as it is, or made safe for a terminal.

        Raises:
            BrokenPipeError: Nobody can read it; also if it is empty.
        """
        if not text:
            self.check_reader()
            return
        self._at_line_start = text.endswith("\n")
        sys.stdout.write(printable(text) if self.on_terminal else text)
        sys.stdout.flush()

    def end_line(self) -> None:
        """End the line of generated text, if it has not ended itself."""
        if not self._at_line_start:
            self._at_line_start = True
            sys.stdout.write("\n")

    def warn(self, warnings: Iterable[Warn]) -> None:
        """Tell a person each of *warnings*."""
        for warning in warnings:
            self.note(f"warning: {warning.message}")

    def note(self, text: str) -> None:
        """Tell a person *text*, on stderr."""
        sys.stdout.flush()
        for line in text.splitlines() or [""]:
            sys.stderr.write(printable(f"devsynthctl: {line}\n"))

    def tell_gone(self, error: DevsynthError) -> None:
        """Tell that the daemon has gone away, and that it is waited for."""
        if self.as_json:
            self.fail(error)
        else:
            self.note(f"{error}; waiting until it is back")

    def tell_away(self, reason: DevsynthError, waited_s: float) -> None:
        """Tell a person once that a request waits for the next daemon, if that takes a while.

        Raises:
            BrokenPipeError: Nobody can read what it will say.
        """
        self.check_reader()
        if waited_s < _SILENCE_S or self._has_told_away or self.as_json:
            return
        self._has_told_away = True
        if sys.stderr.isatty() and not _is_dumb():
            sys.stderr.write("\r\x1b[K")  # over what is drawn there meanwhile
        self.note(f"{reason}: waiting for the next one")

    def fail(self, error: DevsynthError) -> None:
        """Tell that the command failed, and why, on stderr."""
        if self.as_json:
            sys.stderr.write(error_line(info_of(error)))
            return
        if self.on_terminal:
            self.end_line()
        self.note(str(error))
        if error.hint:
            sys.stderr.write(printable(f"hint: {error.hint}\n"))


def _is_dumb() -> bool:
    """Return whether the terminal, if there is one, only takes text."""
    return os.environ.get("TERM", "dumb") in ("dumb", "unknown")
