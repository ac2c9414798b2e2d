"""A service manager of the soak's own: it holds the socket, and starts daemon after daemon."""

import contextlib
import json
import os
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Self

from devsynthd.command import EXIT_CONFIG
from tests.soak.outages import Outages
from tests.soak.watch import children_of, cpu_s
from tests.support.daemon import DaemonProcess, Dealer
from tests.support.service_manager import listening_for_a_daemon

NOTICED_S = 3.0
"""How long after its return a daemon's clients may still be finding out that it was away."""

LOOK_MS = 100
START_LIMIT_S = 60.0  # for what takes half a second where nothing else goes on
END_LIMIT_S = 60.0
PAUSE_S = 0.1
KILLED = -signal.SIGKILL
BACKLOG = 4096
ENGINE = "engine_child.py"

_FAULT_OF_THE_FILE = "config.toml"
"""What errors that the log may have are about: a person's mistakes in the file."""


class Supervisor:
    """Runs ``devsynthd`` with files in *folder*, one process after the other, on one socket.

    *tell* gets what is wrong with how one ended, and with what it logged. Anybody's thread may use
    it; one moves at a time.
    """

    def __init__(
        self, folder: Path, environ: Mapping[str, str], tell: Callable[[object, list[str]], None]
    ) -> None:
        self.outages = Outages(NOTICED_S)
        self.counts: Counter[str] = Counter()
        self.cpu_s = 0.0  # of those that have ended
        self._folder, self._environ, self._tell = folder, environ, tell
        self._exits = contextlib.ExitStack()
        self._listener: socket.socket | None = None
        self._moving = threading.RLock()
        self._engines: set[int] = set()
        self._daemon: DaemonProcess | None = None

    @property
    def daemon(self) -> DaemonProcess:
        """The one that runs now."""
        assert self._daemon
        return self._daemon

    @property
    def pid(self) -> int:
        """Its process."""
        return self.daemon.process.pid

    def __enter__(self) -> Self:
        """Listen, and start the first one."""
        self._listener = self._exits.enter_context(listening_for_a_daemon(self._folder / "s.sock"))
        self._listener.listen(BACKLOG)
        self._start()
        return self

    def __exit__(self, *_: object) -> None:
        """Kill what still runs."""
        if self._daemon is not None:
            self._daemon.close()
        self._exits.close()

    def kill(self) -> None:
        """``kill -9``, and the next one."""
        self._replace(signal.SIGKILL, KILLED, "kill -9 of the daemon")

    def restart(self) -> None:
        """SIGTERM, and the next one."""
        self._replace(signal.SIGTERM, 0, "restarts by SIGTERM")

    def hang_up(self) -> None:
        """SIGHUP: read the settings again. Not while it starts."""
        with self._moving:
            self.daemon.signal(signal.SIGHUP)
            self.counts["SIGHUP"] += 1

    def kill_engine(self) -> bool:
        """``kill -9`` the engine of the daemon; return whether there was one."""
        with self._moving:
            for pid in self.engines():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    self.counts["kill -9 of the engine"] += 1
                    return True
        return False

    def engines(self) -> list[int]:
        """Return the processes of the daemon's engine, and remember them."""
        engines = [pid for pid, command in children_of(self.pid) if ENGINE in command]
        self._engines.update(engines)
        return engines

    def orphans(self) -> Iterator[str]:
        """Return the engines that have not ended, although their daemons have."""
        for pid in self._engines:
            with contextlib.suppress(OSError):
                if ENGINE in Path(f"/proc/{pid}/cmdline").read_text("utf-8"):
                    yield f"the engine {pid} has outlived its daemon"

    def look(self) -> None:
        """Raise if the daemon has ended by itself.

        Raises:
            AssertionError: It has; with its log.
        """
        with self._moving:
            daemon = self.daemon
            exit_status = daemon.process.poll()
            assert exit_status is None, f"it has ended with status {exit_status}:\n{daemon.log()}"

    def stop(self) -> None:
        """End the last one."""
        with self._moving, self.outages.during():
            self._end(signal.SIGTERM, 0)

    def _replace(self, number: signal.Signals, wanted: int, name: str) -> None:
        with self._moving, self.outages.during():
            self.engines()
            self.counts[name] += 1
            self._end(number, wanted)
            self._start()

    def _end(self, number: signal.Signals, wanted: int) -> None:
        daemon = self.daemon
        computed_s = cpu_s(daemon.process.pid)
        daemon.signal(number)
        exit_status = daemon.wait(END_LIMIT_S)
        self.cpu_s += computed_s
        problems = list(log_problems(daemon.log()))
        if exit_status != wanted:
            problems.insert(0, f"its exit status is {exit_status}, expected {wanted}")
        self._tell("a daemon's end", problems)

    def _start(self) -> None:
        """Start one until it answers: with a mistake in its file it ends at once."""
        until = time.monotonic() + START_LIMIT_S
        while True:
            daemon = DaemonProcess(self._folder, environ=self._environ, listener=self._listener)
            if _answers(daemon, until):
                self._daemon = daemon
                return
            exit_status = daemon.process.poll()
            daemon.close()
            assert exit_status == EXIT_CONFIG, (
                f"a daemon that starts: status {exit_status}\n{daemon.log()}"
            )
            self.counts["starts with a mistake in the file"] += 1
            time.sleep(PAUSE_S)


def log_problems(log: str) -> Iterator[str]:
    """Return the lines of *log* that should not be there."""
    for line in log.splitlines():
        try:
            fields = json.loads(line)
            is_bad = fields["level"] in {"error", "critical"} and (
                _FAULT_OF_THE_FILE not in fields["message"]
            )
        except (ValueError, KeyError, TypeError):
            is_bad = True  # not a line of the log
        if is_bad or "Traceback" in line:
            yield f"it has written {line[:2000]}"


def _answers(daemon: DaemonProcess, until: float) -> bool:
    """Return true once it answers; false if it ends, or it is *until* (``time.monotonic``)."""
    with contextlib.closing(Dealer(daemon.endpoint)) as dealer:
        dealer.send(op="ping", id="ready")
        while daemon.process.poll() is None and time.monotonic() < until:
            if dealer.socket.poll(LOOK_MS):
                return True
    return False
