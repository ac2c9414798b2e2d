"""A service manager for one daemon: hears what it is told, and listens for it."""

import contextlib
import os
import select
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

HEAR_LIMIT_S = 15.0

STARTER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Manager:
    """Hears what a daemon tells by sd_notify(3); *environ* is what the daemon needs for that."""

    def __init__(self, path: Path, hears: socket.socket) -> None:
        self.environ = {"NOTIFY_SOCKET": str(path)}
        self._hears = hears
        self.heard: list[str] = []

    def next(self) -> str:
        """Return what is told next."""
        said = self._hears.recv(4096).decode()
        self.heard.append(said)
        return said

    def has_news(self) -> bool:
        """Return whether something was told that has not been taken."""
        return bool(select.select([self._hears], [], [], 0)[0])

    def wait_for(self, start: str) -> str:
        """Return the first thing told from now on that starts with *start*."""
        while not (said := self.next()).startswith(start):
            pass
        return said


@contextlib.contextmanager
def service_manager(folder: Path) -> Iterator[Manager]:
    """Hear what is told at a socket in *folder* until the end of the block."""
    path = folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hears:
        hears.bind(str(path))
        hears.settimeout(HEAR_LIMIT_S)
        yield Manager(path, hears)


@contextlib.contextmanager
def listening_for_a_daemon(path: Path) -> Iterator[socket.socket]:
    """Listen at *path* until the end of the block."""
    with socket.socket(socket.AF_UNIX) as listener:
        previous = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(previous)
        listener.listen()
        yield listener


def started_with(listener: socket.socket, *command: str) -> list[str]:
    """Return the command that starts *command* with *listener* as its inherited socket.

    Whoever runs it must pass the descriptor on.
    """
    return [sys.executable, "-c", STARTER, str(listener.fileno()), *command]
