"""A person at a terminal, who reads what a command asks and types the answers."""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import pexpect

WIDTH = 120
"""Of the terminal, in columns."""


@contextmanager
def at_terminal(
    command: Sequence[str], environ: Mapping[str, str] | None = None
) -> Iterator["pexpect.spawn[str]"]:
    """Run *command* on a terminal of its own, and end it with the block."""
    child = pexpect.spawn(
        command[0],
        list(command[1:]),
        # A dumb terminal would be taken for 80 columns wide.
        env={**(os.environ if environ is None else environ), "TERM": "xterm-256color"},
        dimensions=(40, WIDTH),
        encoding="utf-8",
        timeout=10,
    )
    try:
        yield child
    finally:
        hang_up(child)


def hang_up(child: "pexpect.spawn[str]") -> None:
    """Close the terminal and end the command; one that has ended is not waited for."""
    if not child.isalive():
        child.ptyproc.delayafterclose = 0  # type: ignore[attr-defined] # the stubs lack it
    child.close(force=True)


def rest_of(child: "pexpect.spawn[str]") -> str:
    """Return what the terminal shows until the command has ended, its line ends as newlines."""
    shown: str = child.read()
    child.wait()
    return shown.replace("\r\n", "\n")
