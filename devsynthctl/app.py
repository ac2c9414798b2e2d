"""What every command works with: the options of the root, the client, and where output goes."""

import math
import select
import shutil
import sys
from collections.abc import Callable, Container, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Raw

from devsynthctl.call import OnProgress
from devsynthctl.client import Client
from devsynthctl.errors import info_of
from devsynthctl.render.as_json import error_line, result_line
from devsynthctl.render.text import printable, tab_separated
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.objects import Warn

if TYPE_CHECKING:
    from devsynthctl.render.waiting import Waiting


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

    @property
    def can_ask(self) -> bool:
        """Whether a person at a terminal sees a question, and can answer it."""
        return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()

    @property
    def width(self) -> float:
        """How many columns there are for a table; no limit in a pipe."""
        return shutil.get_terminal_size().columns if self.on_terminal else math.inf

    def client(self) -> Client:
        """Return a client for this run; use it in a ``with``."""
        return Client(self.address, timeout=self.timeout_s, on_idle=self.check_reader)

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

    def print_table(
        self,
        columns: Sequence[str],
        rows: Iterable[Sequence[str]],
        long: Container[str],
        *,
        marked: bool = False,
    ) -> None:
        """Write *rows* as a table on a terminal, else as tab-separated lines below a header.

        On a terminal the columns in *long* are those that give way. *marked*: the last column
        marks rows with a ``*``.
        """
        if self.on_terminal:
            # A fifth of a second to import, so only for eyes.
            from devsynthctl.render.table import print_table  # noqa: PLC0415

            print_table(columns, rows, sys.stdout, long=long, color=self.color, marked=marked)
        else:
            self.print(tab_separated([columns, *rows]))

    def progress(self, title: str, *, bar: bool) -> AbstractContextManager[OnProgress | None]:
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
