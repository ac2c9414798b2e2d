"""What a list costs, in counts, which a busy machine does not change: system calls, calls."""

import contextlib
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devsynthctl import Client
from tests.support.daemon import DaemonProcess
from tests.support.needs import missing, need

LISTS = 200
OF_NO_INTEREST = {"total", "getpid"}  # libzmq looks for a fork each time that it looks at a socket


@pytest.fixture
def client(daemon: DaemonProcess) -> Iterator[Client]:
    """Return one that is warm: connected, and has had the list before."""
    with Client(daemon.endpoint) as client:
        client.list(refresh=True)
        yield client


def test_the_daemon_needs_few_system_calls_for_a_list(
    client: Client, daemon: DaemonProcess, tmp_path: Path
) -> None:
    def ask() -> None:
        while not is_asleep(daemon.process.pid):  # else it would find several at a time
            pass
        client.list()

    counts = traced(daemon.process.pid, tmp_path, ask)

    # It wakes up, looks at the socket, reads, answers, which wakes libzmq's thread, and looks
    # whether that was all: 1 epoll_wait, 3 or 4 poll, 1 read, 1 write.
    assert counts["poll"] < 4.3, counts
    assert sum(counts.values()) < 7.5, counts


def test_the_client_needs_few_system_calls_for_a_list(client: Client, tmp_path: Path) -> None:
    counts = traced(threading.get_native_id(), tmp_path, client.list)

    assert sum(counts.values()) < 3.3, counts  # it sends, waits, reads


def test_the_client_makes_few_calls_for_a_list(client: Client) -> None:
    calls = Counter[str]()

    def note(frame: object, event: str, argument: object) -> None:
        del frame, argument
        calls[event] += 1

    sys.setprofile(note)
    try:
        for _ in range(LISTS):
            client.list()
    finally:
        sys.setprofile(None)

    assert calls["call"] / LISTS < 67
    assert calls["c_call"] / LISTS < 49


def is_asleep(pid: int) -> bool:
    """Return whether the main thread of *pid* waits."""
    return (
        Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] == "S"
    )


def traced(thread: int, folder: Path, act: Callable[[], object]) -> dict[str, float]:
    """Return the system calls that *thread* makes for one *act*, on the average of many."""
    report = folder / "calls"
    command = [need("strace", "apt-get install strace"), "-c", "-o", str(report)]
    with subprocess.Popen(
        [*command, "-p", str(thread)], stderr=subprocess.PIPE, text=True
    ) as strace:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if "attached" not in said:
            missing("the right to trace a process", f"run the tests as root ({said.strip()})")
        with contextlib.ExitStack() as end:
            end.callback(strace.send_signal, signal.SIGINT)
            for _ in range(LISTS):
                act()
    return read_report(report.read_text(encoding="utf-8"))


def read_report(text: str) -> dict[str, float]:
    """Return the calls an act in what ``strace -c`` has counted: its fourth column, by name."""
    rows = [row for row in map(str.split, text.splitlines()) if len(row) > 4 and row[3].isdigit()]
    return {row[-1]: int(row[3]) / LISTS for row in rows if row[-1] not in OF_NO_INTEREST}
