"""A daemon that is fuzzed: it must live, answer, log no fault of its own, and not grow."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import zmq

from devsynthd.wire.codec import Encoding, encoding_of
from tests.support.daemon import DaemonProcess, Dealer

PATIENCE_MS = 20_000  # a busy machine is no fault
START_TRIES = 5
MAX_GROWTH_BYTES = 24 * 2**20
"""What a daemon may take more of after thousands of bodies: buffers, caches, and fragments."""

Reply = dict[str, Any]


class Died(Exception):
    """The daemon has ended, or does not answer; its log."""


class Fuzzed:
    """A daemon with its files in *folder*; a new one takes the place of one that died."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = {
            "DEVSYNTH_DAEMON_LOG_FORMAT": "json",
            "DEVSYNTH_DAEMON_SHUTDOWN_GRACE": "1",
            "DEVSYNTH_EMBEDDED_ENABLED": "never",
            **environ,
        }
        self._exits = contextlib.ExitStack()
        self._read_lines = 0
        self.start()

    def start(self) -> None:
        """Start it, and connect."""
        self._exits.close()
        self._read_lines = 0
        self.memory_bytes: int | None = None
        self.process = DaemonProcess(self._folder, environ=self._environ)
        self._exits.callback(self.process.close)
        self._wait_ready()
        self.dealer = self._dealer()
        self._exits.callback(self._leave)

    def _wait_ready(self) -> None:
        for _ in range(START_TRIES):
            with contextlib.suppress(AssertionError):
                self.process.wait_ready()
                return
        raise Died(f"it does not start: {self.process.log()}")

    def reconnect(self) -> None:
        """Be another client from now on, who is owed nothing."""
        self._leave()
        self.dealer = self._dealer()

    def _leave(self) -> None:
        self.dealer.close()

    def _dealer(self) -> Dealer:
        dealer = Dealer(self.process.endpoint, receive_high_water=0)
        dealer.socket.setsockopt(zmq.RCVTIMEO, PATIENCE_MS)
        return dealer

    def close(self) -> None:
        """End it."""
        self._exits.close()

    def ask(self, **fields: object) -> Reply:
        """Return the last reply to this one request.

        Raises:
            Died: None came.
        """
        self.dealer.send(**fields)
        return self.receive()[-1]

    def receive(self) -> tuple[list[bytes], Encoding, Reply]:
        """Return the next reply: its frames, and what is in them.

        Raises:
            Died: None came.
        """
        try:
            frames = self.dealer.socket.recv_multipart()
        except zmq.Again:
            status, log = self.process.process.poll(), self.process.log()[-2000:]
            self.start()
            raise Died(f"no reply in {PATIENCE_MS} ms, exit status {status}: {log}") from None
        encoding = encoding_of(frames[-1])
        decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode
        return frames, encoding, decode(frames[-1])

    def check_log(self) -> None:
        """Fail if it has logged a fault of its own since the last look."""
        for line in self.process.log_lines(self._read_lines):
            self._read_lines += 1
            event = json.loads(line)
            assert event["level"] not in ("error", "critical"), line
            assert "traceback" not in event, line

    def check_memory(self) -> None:
        """Fail if it has grown too much since the first look."""
        now = self.ask(op="status", id="memory")["result"]["memory_bytes"]
        if now is None:  # this system does not tell
            return
        self.memory_bytes = self.memory_bytes or now
        grown = now - self.memory_bytes
        assert grown <= MAX_GROWTH_BYTES, f"it has grown by {grown} bytes to {now}"


@contextlib.contextmanager
def fuzzed(folder: Path, environ: Mapping[str, str]) -> Iterator[Fuzzed]:
    """Run a daemon to be fuzzed until the end of the block; nothing may be wrong with it then."""
    daemon = Fuzzed(folder, environ)
    try:
        yield daemon
        daemon.check_log()
        daemon.check_memory()
    finally:
        daemon.close()
