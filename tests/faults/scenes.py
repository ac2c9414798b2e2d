"""Daemons whose machine fails them: each scene makes one fault, and takes it back."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from devsynthctl import Client
from devsynthd.host.disk import PREFIX
from tests.faults.failing_disk import FailingDisk
from tests.process.conftest import asks
from tests.process.surroundings import (
    NOBODY_KNOWS,
    UTIL_LINUX,
    as_nobody,
    full_disk,
    read_only_disk,
    seen_by,
    with_mounts,
)
from tests.support.daemon import CTL, DaemonProcess, daemon_process, start_daemon
from tests.support.needs import need, need_root
from tests.support.upstream_server import UpstreamServer

CONFIG = "# mine\n[llm]\nmax_tokens = 5 # few\n"
MB = 2**20

NO_MORE = 3
"""The descriptors of standard input, output and error, which it never closes."""

PATIENCE_S = 5.0
"""How much later what was used for others has been given back, at the latest."""


def not_there(*_: str, **__: str) -> "subprocess.CompletedProcess[str]":
    """Stand in for commands that this fault is of no interest for."""
    raise NotImplementedError


class Scene:
    """A daemon, a client of its, and the *fault*, which is there or not.

    Args:
        upstream: Whom the daemon asks.
        client: It is connected already.
        pid: Of the daemon's process, which may be this one.
        home: The folder that its files are in, as this process sees it.
        config: Its config file, as this process sees it.
        fault: Makes the fault (``on=True``), or takes it back.
        ctl: Runs ``devsynthctl`` where the daemon runs, with some variables of the environment.
    """

    def __init__(
        self,
        upstream: UpstreamServer,
        client: Client,
        pid: int,
        home: Path,
        config: Path,
        fault: Callable[..., object],
        *,
        ctl: Callable[..., "subprocess.CompletedProcess[str]"] = not_there,
    ) -> None:
        self.upstream, self.client, self.config = upstream, client, config
        self.ctl = ctl
        self._fault, self._pid, self._home = fault, pid, home
        self._others = frozenset(self._all_children())  # of this process, by earlier tests

    def begin(self) -> None:
        """Make the fault, once nothing is under way that needs what it takes."""
        assert self.eventually(lambda: not self.left_over() and not self.children())
        self._fault(on=True)

    def end(self) -> None:
        """Take it back."""
        self._fault(on=False)

    def descriptors(self) -> int:
        """Return how many files and sockets the process has open."""
        return len(list(Path(f"/proc/{self._pid}/fd").iterdir()))

    def threads(self) -> int:
        """Return how many threads the process has."""
        return len(list(Path(f"/proc/{self._pid}/task").iterdir()))

    def children(self) -> list[str]:
        """Return the processes that it has started and that are there, ended or not."""
        return [pid for pid in self._all_children() if pid not in self._others]

    def _all_children(self) -> list[str]:
        tasks = Path(f"/proc/{self._pid}/task").glob("*/children")
        return [pid for each in tasks for pid in each.read_text("ascii").split()]

    def left_over(self) -> list[str]:
        """Return the files that are not whole."""
        return [str(each) for each in self._home.rglob(f"*{PREFIX}*")]

    def eventually(self, holds: Callable[[], bool]) -> bool:
        """Return whether *holds* does so before long."""
        until = time.monotonic() + PATIENCE_S
        while not (held := holds()) and time.monotonic() < until:
            self.client.ping()
        return held


@contextlib.contextmanager
def on_a_disk(folder: Path, kinds: tuple[str, ...], code: int) -> Iterator[Scene]:
    """Have every step of *kinds* of the daemon's disk fail with *code*."""
    disk = FailingDisk()
    config = folder / "config.toml"
    with UpstreamServer() as upstream:
        config.write_text(
            f'{CONFIG}provider = "openai"\napi_base = "{upstream.url}"\n', encoding="utf-8"
        )
        with start_daemon(folder, upstream, config=config, disk=disk) as daemon:

            def fault(*, on: bool) -> None:
                if on:
                    disk.fail_every(kinds, code)
                else:
                    disk.mend()

            yield Scene(upstream, daemon.client(), os.getpid(), folder, config, fault)


@contextlib.contextmanager
def _process(
    folder: Path,
    fault: Callable[..., object],
    *,
    within: Sequence[str] = (),
    home: Path | None = None,
) -> Iterator[Scene]:
    """Run a daemon whose files are in *home*, a disk of its own, or else in *folder*."""
    with UpstreamServer() as upstream, contextlib.ExitStack() as stack:
        config = folder / "config.toml"
        environ = asks(upstream)
        if home is None:
            config.write_text(CONFIG, encoding="utf-8")
        else:
            config = home / ".config" / "devsynth" / "config.toml"
            environ |= {
                "DEVSYNTH_CONFIG": str(config),
                "XDG_CACHE_HOME": str(home / ".cache"),
                "HOME": str(home),
                "TMPDIR": str(folder),
            }
        daemon = stack.enter_context(daemon_process(folder, environ=environ, within=within))
        daemon.wait_logged("is reachable")
        client = stack.enter_context(Client(daemon.endpoint))
        pid = daemon.process.pid
        place, file = home or folder, config
        if home is not None:
            place, file = seen_by(pid, home), seen_by(pid, config)

        def ctl(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                [*_in_the_mounts_of(pid), *CTL, *arguments],
                env={**daemon.environ, **more},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )

        yield Scene(upstream, client, pid, place, file, partial(fault, daemon), ctl=ctl)
        client.shutdown()
        assert daemon.wait() == 0


@contextlib.contextmanager
def without_descriptors(folder: Path) -> Iterator[Scene]:
    """Let the daemon open no further file or socket (EMFILE), by RLIMIT_NOFILE."""

    def fault(daemon: DaemonProcess, *, on: bool) -> None:
        limit_descriptors(daemon.process.pid, NO_MORE if on else None)

    with _process(folder, fault) as scene:
        yield scene


def limit_descriptors(pid: int, limit: int | None) -> None:
    """Let the process *pid* have only so many files open; null: as many as it may at most.

    Those that it has open stay. With ``NO_MORE`` it can open none, whichever it closes.
    """
    hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard if limit is None else limit, hard))


@contextlib.contextmanager
def without_processes(folder: Path) -> Iterator[Scene]:
    """Let the daemon start no further process or thread (EAGAIN), by RLIMIT_NPROC.

    It does not hold for root, so the daemon is a user of its own.
    """
    need_root()
    (folder / "config.toml").touch()
    for each in (folder, folder / "config.toml"):
        os.chown(each, NOBODY_KNOWS, NOBODY_KNOWS)

    def fault(daemon: DaemonProcess, *, on: bool) -> None:
        pid = daemon.process.pid
        threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
        # Another user's limits may not be set here, whoever this is; their own may.
        limit = f"--nproc={threads if on else 4096}:"
        subprocess.run([*as_nobody(), "prlimit", f"--pid={pid}", limit], check=True)

    keep = ["DEVSYNTH_SOCKET", "DEVSYNTH_CONFIG", "XDG_CACHE_HOME", "DEVSYNTH_LLM_PROVIDER"]
    script = f'exec {" ".join(as_nobody(*(f"{n}=${n}" for n in keep)))} "$@"'
    script = script.replace("env -i", 'env -i "DEVSYNTH_LLM_API_BASE=$DEVSYNTH_LLM_API_BASE"')
    with _process(folder, fault, within=["sh", "-c", script, "sh"]) as scene:
        yield scene


@contextlib.contextmanager
def without_memory(folder: Path) -> Iterator[Scene]:
    """Let the daemon have 2 MiB more of memory (ENOMEM), by RLIMIT_AS."""

    def fault(daemon: DaemonProcess, *, on: bool) -> None:
        limit_memory(daemon.process.pid, 2 * MB if on else None)

    with _process(folder, fault) as scene:
        yield scene


def limit_memory(pid: int, more_bytes: int | None) -> None:
    """Let the process *pid* have so much more address space than now; null: as much as it wants."""
    limit = unlimited = resource.RLIM_INFINITY
    if more_bytes is not None:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[0])
        limit = pages * os.sysconf("SC_PAGE_SIZE") + more_bytes
    resource.prlimit(pid, resource.RLIMIT_AS, (limit, unlimited))


@contextlib.contextmanager
def in_a_full_home(folder: Path) -> Iterator[Scene]:
    """Have the daemon's home on a disk of 64 kB without any room (ENOSPC)."""
    with _home(folder, full_disk) as scene:
        yield scene


@contextlib.contextmanager
def in_a_read_only_home(folder: Path) -> Iterator[Scene]:
    """Have the daemon's home on a disk that is mounted read-only (EROFS)."""
    with _home(folder, read_only_disk) as scene:
        yield scene


@contextlib.contextmanager
def _home(folder: Path, disk: Callable[..., str]) -> Iterator[Scene]:
    home = folder / "home"
    place = home / ".config" / "devsynth"
    keep = f"mkdir -p {place} {home}/.cache; printf %s '{CONFIG}' >{place}/config.toml"
    within = with_mounts(disk(home, keep=keep))

    def fault(daemon: DaemonProcess, *, on: bool) -> None:
        if on:
            return
        inside = _in_the_mounts_of(daemon.process.pid)
        subprocess.run([*inside, "mount", "-o", "remount,rw", str(home)], check=True)
        subprocess.run([*inside, "rm", "-f", f"{home}/ballast"], check=True)

    with _process(folder, fault, within=within, home=home) as scene:
        yield scene


def _in_the_mounts_of(pid: int) -> list[str]:
    """Return the command that runs the one behind it where *pid* sees its disks."""
    return [need("nsenter", UTIL_LINUX), f"--target={pid}", "--mount"]
