"""What a run is measured on: an upstream, a daemon before it, and clients of both."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from pathlib import Path

import requests
import zmq
from msgspec import Struct

from devsynthctl import Client
from tests.bench.child import child
from tests.support.daemon import environ_of, toml_of

ANSWER_MS = 10_000
END_S = 15.0


class DaemonChild(Struct, frozen=True):
    """A daemon in a process of its own, with its files in *folder*; *environ* leads to it."""

    folder: Path
    environ: Mapping[str, str]
    process: "subprocess.Popen[bytes]"

    @property
    def endpoint(self) -> str:
        """Where it listens."""
        return self.environ["DEVSYNTH_SOCKET"]

    @property
    def config(self) -> Path:
        """Its settings."""
        return Path(self.environ["DEVSYNTH_CONFIG"])

    @property
    def pid(self) -> int:
        """Its process."""
        return self.process.pid


class Rig(Struct, frozen=True):
    """One upstream, one daemon with default settings, one client and one direct session."""

    folder: Path
    upstream: str
    daemon: DaemonChild
    client: Client
    session: requests.Session

    def base(self, models: int) -> str:
        """Return the address of the same upstream with so many models."""
        return f"{self.upstream}/models-{models}/v1"


@contextlib.contextmanager
def rig(folder: Path) -> Iterator[Rig]:
    """Start all of it, with files in *folder*, and end it with the block."""
    with child("upstream") as port, requests.Session() as session:
        upstream = f"http://127.0.0.1:{port}"
        with start_daemon(folder, upstream) as daemon, Client(daemon.endpoint) as client:
            first_answer(daemon)
            client.list(refresh=True)
            yield Rig(folder, upstream, daemon, client, session)


@contextlib.contextmanager
def start_daemon(folder: Path, upstream: str) -> Iterator[DaemonChild]:
    """Start a daemon, with no settings but its *upstream*, that is killed after the block."""
    environ = environ_of(folder)
    Path(environ["DEVSYNTH_CONFIG"]).write_text(toml_of({"llm_api_base": f"{upstream}/v1"}))
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "devsynthd"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        yield DaemonChild(folder, environ, process)
    finally:
        process.kill()
        process.wait(END_S)


def first_answer(daemon: DaemonChild) -> None:
    """Return once *daemon*, which may just be starting, has answered a ping."""
    with connected(daemon.endpoint) as dealer:
        dealer.send(b'{"op": "ping", "id": 1}')
        try:
            dealer.recv()
        except zmq.Again:
            log = (daemon.folder / "log").read_text(errors="replace")
            raise AssertionError(f"the daemon does not answer:\n{log}") from None


@contextlib.contextmanager
def connected(endpoint: str) -> Iterator["zmq.Socket[bytes]"]:
    """Yield a bare DEALER at *endpoint*, which tries again each 1 to 2 ms while nobody is there."""
    context = zmq.Context()
    dealer = context.socket(zmq.DEALER)
    dealer.setsockopt(zmq.RECONNECT_IVL, 1)
    dealer.setsockopt(zmq.RCVTIMEO, ANSWER_MS)
    dealer.setsockopt(zmq.LINGER, 0)
    dealer.connect(endpoint)
    try:
        yield dealer
    finally:
        context.destroy(linger=0)


def clean(environ: MutableMapping[str, str] = os.environ) -> None:
    """Leave nothing in *environ* that makes programs slower here than with a user.

    Settings of a developer's own daemon, and what keeps Python from storing what it compiles.
    """
    for name in [*environ]:
        if name.startswith("DEVSYNTH_") or name in {"PYTHONDONTWRITEBYTECODE", "PYTHONDEVMODE"}:
            del environ[name]
