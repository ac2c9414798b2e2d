"""A terminal of 80 columns and 24 lines that knows what stands on it."""

import os
import re
import termios
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pexpect

from tests.support.person import hang_up

LINES, COLUMNS = 24, 80
PATIENCE_S = 10.0

_TOKEN = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|([\s\S])")
_CURSOR, _OTHER_SCREEN = "?25", "?1049"
_LOCAL_FLAGS = 3  # in what the terminal says of itself


class Screen:
    """What a command has drawn on a terminal: as much of one as programs that draw lines need."""

    def __init__(self, child: "pexpect.spawn[str]") -> None:
        self._child = child
        self._lines, self._columns = LINES, COLUMNS
        self._row = self._column = 0
        self._cells: list[list[str]] = []
        self._modes: set[str] = {_CURSOR}
        self._rest = ""
        self.wrapped = 0
        """How many characters had no room, of what was drawn since the cursor was at home."""
        self.raw = ""
        self._clear()

    @property
    def shown(self) -> list[str]:
        """What stands on each line."""
        return ["".join(row).rstrip() for row in self._cells]

    @property
    def is_given_back(self) -> bool:
        """Whether the terminal is as a shell wants it: its own screen, a cursor, keys shown."""
        flags = termios.tcgetattr(self._child.child_fd)[_LOCAL_FLAGS]
        wanted = termios.ICANON | termios.ECHO
        return self._modes == {_CURSOR} and flags & wanted == wanted

    @property
    def _is_drawn(self) -> bool:
        """Whether the last line is drawn as well, or it is no screen that is drawn as a whole."""
        is_at_end = (self._row, self._column) == (self._lines - 1, self._columns)
        return is_at_end or _OTHER_SCREEN not in self._modes

    def wait_for(self, part: str) -> list[str]:
        """Return what is shown once *part* is in it, and all of it is drawn."""
        until = time.monotonic() + PATIENCE_S
        while not (self._is_drawn and any(part in line for line in self.shown)):
            try:
                self._read()
                assert time.monotonic() < until
            except (pexpect.EOF, pexpect.TIMEOUT, AssertionError) as exc:
                raise AssertionError(f"{part!r} is not shown:\n" + "\n".join(self.shown)) from exc
        return self.shown

    def press(self, key: str) -> None:
        self._child.send(key)

    def send_signal(self, number: int) -> None:
        self._child.kill(number)

    def resize(self, lines: int, columns: int) -> None:
        self._lines, self._columns = lines, columns
        self._clear()
        self._child.setwinsize(lines, columns)

    def end(self) -> int:
        """Return the exit status of the command, once it has ended; 128 and more: by a signal."""
        while True:
            try:
                self._read()
            except pexpect.EOF:
                break
        self._child.wait()
        killed = self._child.signalstatus
        status = self._child.exitstatus
        return 128 + killed if status is None and killed else status or 0

    def _read(self) -> None:
        data = self._child.read_nonblocking(4096, PATIENCE_S)
        self.raw += data
        text = self._rest + data
        # An escape sequence may have been cut.
        cut = re.search(r"\x1b(\[[?0-9;]*)?$", text)
        self._rest = text[cut.start() :] if cut else ""
        for match in _TOKEN.finditer(text[: cut.start()] if cut else text):
            arguments, command, character = match.groups()
            if character is None:
                self._obey(arguments, command)
            else:
                self._write(character)

    def _obey(self, arguments: str, command: str) -> None:
        match command:
            case "H":
                row, _, column = arguments.partition(";")
                self._row, self._column = int(row or 1) - 1, int(column or 1) - 1
                if (self._row, self._column) == (0, 0):
                    self.wrapped = 0
            case "J":
                self._clear()
            case "K":
                self._cells[self._row][self._column :] = " " * (self._columns - self._column)
            case "h" | "l":
                change = self._modes.add if command == "h" else self._modes.discard
                change(arguments)
                if arguments == _OTHER_SCREEN:
                    self._clear()

    def _write(self, character: str) -> None:
        match character:
            case "\r":
                self._column = 0
            case "\n":
                self._row += 1
            case "\x1b" | "\x07":
                pass
            case _ if self._row < self._lines and self._column < self._columns:
                self._cells[self._row][self._column] = character
                self._column += 1
            case _:
                self.wrapped += 1

    def _clear(self) -> None:
        self._row = self._column = 0
        self._cells = [[" "] * self._columns for _ in range(self._lines)]


@contextmanager
def screen_of(command: Sequence[str], **environ: str) -> Iterator[Screen]:
    """Run *command* on such a terminal, and end it with the block."""
    child = pexpect.spawn(
        command[0],
        list(command[1:]),
        env={**os.environ, "TERM": "xterm-256color", **environ},
        dimensions=(LINES, COLUMNS),
        encoding="utf-8",
        timeout=PATIENCE_S,
    )
    try:
        yield Screen(child)
    finally:
        hang_up(child)
