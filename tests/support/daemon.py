"""The daemon in a thread of the test, and in a process of its own."""

import asyncio
import contextlib
import functools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, cast

import msgspec
import zmq
from msgspec.structs import replace

from devsynthctl import Client
from devsynthd.daemon import Daemon
from devsynthd.host.address import socket_address
from devsynthd.host.disk import DISK, Disk
from devsynthd.plan import make_plan
from devsynthd.transport.outboxes import STALL_S
from tests.support.lines import Lines
from tests.support.service_manager import started_with
from tests.support.upstream_server import UpstreamServer

ANSWER_MS = 10_000
CTL = (sys.executable, "-m", "devsynthctl")
END_S = 10.0


class Dealer:
    """A client by hand: sends any bytes, reads replies as plain values."""

    def __init__(
        self,
        endpoint: str,
        *,
        socket_type: int = zmq.DEALER,
        receive_high_water: int = 1000,
        reconnect_ms: int = 100,
    ) -> None:
        self._context = zmq.Context()
        self.socket = self._context.socket(socket_type)
        self.socket.setsockopt(zmq.RCVHWM, receive_high_water)
        self.socket.setsockopt(zmq.RECONNECT_IVL, reconnect_ms)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, ANSWER_MS)
        self.socket.connect(endpoint)

    def ask(self, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any fields, right or wrong
        """Send one request and return its first reply."""
        self.send(**fields)
        return self.receive()

    def send(self, **fields: Any) -> None:  # noqa: ANN401
        """Send one request in MessagePack."""
        self.socket.send(msgspec.msgpack.encode(fields))

    def receive(self) -> dict[str, Any]:
        """Return the next reply in MessagePack."""
        reply: dict[str, Any] = msgspec.msgpack.decode(self.socket.recv())
        return reply

    def close(self) -> None:
        """Leave."""
        self._context.destroy(linger=0)


class RunningDaemon:
    """A daemon that runs in a thread, and ways to talk to it."""

    def __init__(self, endpoint: str, path: Path, thread: threading.Thread) -> None:
        self.endpoint, self.path, self._thread = endpoint, path, thread
        self._exits = contextlib.ExitStack()

    def client(self) -> Client:
        """Return our own client, closed at the end of the test."""
        return self._exits.enter_context(Client(self.endpoint))

    def dealer(self, socket_type: int = zmq.DEALER, *, receive_high_water: int = 1000) -> Dealer:
        """Return a client by hand, closed at the end of the test."""
        dealer = Dealer(
            self.endpoint, socket_type=socket_type, receive_high_water=receive_high_water
        )
        return self._exits.enter_context(contextlib.closing(dealer))

    def wait_ended(self) -> None:
        """Wait until the daemon has ended by itself."""
        self._thread.join(END_S)
        assert not self._thread.is_alive(), "the daemon does not end"

    def close(self) -> None:
        """Close the clients."""
        self._exits.close()


def toml_of(settings: Mapping[str, Any]) -> str:
    """Return a config file that sets *settings*, by key."""
    tables: dict[str, list[str]] = {}
    for key, value in settings.items():
        table, _, name = key.partition("_")
        tables.setdefault(table, []).append(f"{name} = {json.dumps(value)}")
    return "\n".join(f"[{table}]\n" + "\n".join(lines) for table, lines in tables.items()) + "\n"


@contextlib.contextmanager
def start_daemon(
    folder: Path,
    upstream: UpstreamServer | str,
    *,
    config: Path | None = None,
    stall_s: float = STALL_S,
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    disk: Disk = DISK,
    **settings: Any,  # noqa: ANN401 - any setting
) -> Iterator[RunningDaemon]:
    """Run a daemon for *upstream* in a thread until the end of the block.

    *folder* holds its socket, cache and config file. *settings* are written there; the provider is
    ``openai`` and the grace 1 s if they do not say otherwise. *config* is another file, which is
    left as it is. *environ* and *flags* (by key) win over the file. *disk* has it and the cache.
    """
    url = upstream if isinstance(upstream, str) else upstream.url
    if config is None:
        given = {"llm_provider": "openai", "daemon_shutdown_grace": 1.0, "llm_api_base": url}
        config = folder / "config.toml"
        config.write_text(toml_of({**given, **settings}), encoding="utf-8")
    plan = replace(
        make_plan(str(config), str(folder / "s.sock"), flags or {}, environ or {}, disk=disk),
        cache_dir=folder / "cache",
        stall_s=stall_s,
    )
    address = plan.address
    ready = threading.Event()
    faults: list[BaseException] = []
    daemon = Daemon(plan, ready.set)
    stop = functools.partial(daemon.stop, silence_s=0.0)  # the clients are closed by then
    loop = asyncio.new_event_loop()

    def run() -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: loop) as runner:
                runner.run(daemon.run())
        except BaseException as exc:  # noqa: BLE001 - told to the test's own thread
            faults.append(exc)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="daemon")
    thread.start()
    ready.wait()
    running = RunningDaemon(address.endpoint, address.path, thread)
    try:
        yield running
    finally:
        running.close()
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            loop.call_soon_threadsafe(stop)
        running.wait_ended()
        if faults:
            raise faults[0]


def environ_of(folder: Path, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the variables for a daemon, and its clients, with files in *folder*."""
    return {
        **os.environ,
        "DEVSYNTH_SOCKET": f"ipc://{folder / 's.sock'}",
        "DEVSYNTH_CONFIG": str(folder / "config.toml"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        **(environ or {}),
    }


class DaemonProcess:
    """``devsynthd`` as a process of its own, with files in *folder*; *stdin* is its own.

    *listener* is handed to it as a service manager would do. *within* is a command that runs the
    one behind it.
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        environ: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        listener: socket.socket | None = None,
        within: Sequence[str] = (),
    ) -> None:
        self.environ = environ_of(folder, environ)
        address = socket_address(None, self.environ)
        self.socket, self.endpoint = address.path, address.endpoint
        command = [*within, sys.executable, "-m", "devsynthd", *arguments]
        self.process = subprocess.Popen(
            command if listener is None else started_with(listener, *command),
            env=self.environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            pass_fds=() if listener is None else (listener.fileno(),),
        )
        self._log = Lines(cast("IO[str]", self.process.stdout))

    def ctl(
        self,
        *arguments: str,
        stdin: str | None = None,
        limit_s: float = 15,
        environ: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run ``devsynthctl`` against it; without *stdin* it has none."""
        return subprocess.run(
            [*CTL, *arguments],
            env={**self.environ, **(environ or {})},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=limit_s,
            check=False,
        )

    @contextlib.contextmanager
    def start_ctl(self, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
        """Start ``devsynthctl`` against it, its output in pipes; it has ended after the block."""
        with subprocess.Popen(
            [*CTL, *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def wait_ready(self) -> None:
        """Wait until it answers."""
        with contextlib.closing(Dealer(self.endpoint, reconnect_ms=5)) as dealer:
            try:
                dealer.ask(op="ping", id="ready")
            except zmq.Again:
                raise AssertionError(f"it does not answer:\n{self.log()}") from None

    def log(self) -> str:
        """Return what it has logged so far, all of it if it has ended."""
        return self._log.text() if self.process.poll() is None else self._log.wait_end()

    def log_lines(self, number: int) -> list[str]:
        """Return the lines of its log so far, from that *number* (from 0) on."""
        return self._log.since(number)

    def wait_logged(self, part: str) -> str:
        """Return the first line of its log with *part* in it, once it is there."""
        return self._log.wait_for(part)

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def wait(self, limit_s: float = 15) -> int:
        """Return its exit status once it has ended."""
        return self.process.wait(limit_s)

    def close(self) -> None:
        """End it if it still runs."""
        self.process.kill()
        self.process.wait()
        self._log.wait_end()


@contextlib.contextmanager
def daemon_process(
    folder: Path,
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    stdin: int = subprocess.DEVNULL,
    listener: socket.socket | None = None,
    within: Sequence[str] = (),
) -> Iterator[DaemonProcess]:
    """Run ``devsynthd`` until the end of the block; it has answered a ping when that begins."""
    daemon = DaemonProcess(
        folder, *arguments, environ=environ, stdin=stdin, listener=listener, within=within
    )
    try:
        daemon.wait_ready()
        yield daemon
    finally:
        daemon.close()
