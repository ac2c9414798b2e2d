"""What is seen of a daemon from outside: its status, and what Linux says of its process."""

import contextlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.wire.results import StatusReport
from tests.support.daemon import Dealer

UPSTREAM = "upstream"
"""The kind of a descriptor that is a connection to the upstream."""

_ESTABLISHED, _CLOSE_WAIT = "01", "08"


class Footprint(Struct, frozen=True):
    """What a process takes: *descriptors* by kind; *doubled* are held twice or more."""

    threads: int
    descriptors: dict[str, int]
    doubled: int
    memory_bytes: int


def footprint(pid: int) -> Footprint:
    """Return what the process takes now."""
    process = Path(f"/proc/{pid}")
    unix = {line.split()[6] for line in _rows(process / "net/unix")}
    kinds: Counter[str] = Counter()
    upstream: set[str] = set()
    for link in (process / "fd").iterdir():
        try:
            target = str(link.readlink())
        except FileNotFoundError:  # closed since it was listed
            continue
        kind, _, rest = target.partition(":")
        if kind == "socket" and rest.strip("[]") not in unix:
            # Not by the table of connections, which lacks those that the other side has reset.
            kind = UPSTREAM
            upstream.add(rest)
        kinds["file" if target.startswith("/") else kind] += 1
    return Footprint(
        threads=len(list((process / "task").iterdir())),
        descriptors=dict(sorted(kinds.items())),
        doubled=kinds[UPSTREAM] - len(upstream),
        memory_bytes=resident_bytes(pid),
    )


def resident_bytes(pid: int) -> int:
    """Return the memory that the process has resident."""
    pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def cpu_s(pid: int) -> float:
    """Return the seconds that the process has computed."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children_of(pid: int) -> list[tuple[int, str]]:
    """Return the processes that the process *pid* has started, each with its command line.

    That of a zombie is empty.
    """
    children: list[str] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):  # the thread has gone meanwhile
            children += (task / "children").read_text("ascii").split()
    found = []
    for child in children:
        with contextlib.suppress(OSError):  # the process has
            command = Path(f"/proc/{child}/cmdline").read_text("utf-8", errors="replace")
            found.append((int(child), command.replace("\0", " ").strip()))
    return found


def connections_at(port: int) -> int:
    """Return how many connections the server on *port* of 127.0.0.1 has not closed."""
    local = f"0100007F:{port:04X}"
    rows = (line.split() for line in _rows(Path("/proc/self/net/tcp")))
    return sum(row[1] == local and row[3] in {_ESTABLISHED, _CLOSE_WAIT} for row in rows)


class Monitor:
    """One more client, that asks for nothing but the status; *asked* is how often it did."""

    def __init__(self, endpoint: str) -> None:
        self.asked = 0
        self._dealer = Dealer(endpoint)

    def status(self) -> StatusReport:
        """Return how the daemon is."""
        self.asked += 1
        reply: dict[str, Any] = self._dealer.ask(op="status", id=self.asked)
        return msgspec.convert(reply["result"], StatusReport)

    def close(self) -> None:
        """Leave."""
        self._dealer.close()


def _rows(table: Path) -> list[str]:
    """Return the lines of one of the system's tables, without its header."""
    return table.read_text("ascii", errors="replace").splitlines()[1:]
