"""A scripted daemon that answers by op, and tells its subscribers what a test hands over."""

import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.support.fake_daemon import POLL_MS, FakeDaemon
from tests.support.replies import SOURCE, STATUS, models

PATIENCE_S = 10.0

SNAPSHOTS: dict[str, Any] = {
    "models": models(),
    "upstream": SOURCE,
    "config": {"config_generation": 1, "changed": [], "valid": True, "error": None},
    "requests": {"requests": []},
}


class EventDaemon(FakeDaemon):
    """Answers each op with its result in *results*, and a subscription with *snapshots*.

    Both may be changed at any time. What `tell` and `restart` do happens on the daemon's thread.
    """

    def __init__(
        self,
        path: Path,
        results: Mapping[str, Any] | None = None,
        snapshots: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(path, lambda _daemon: self._serve_all())
        self.results = {"status": STATUS, "list": models()} | dict(results or {})
        self.snapshots = SNAPSHOTS | dict(snapshots or {})
        self.asked: queue.SimpleQueue[str] = queue.SimpleQueue()
        """The op of each request, in their order."""
        self._subscriptions: list[dict[str, Any]] = []
        self._jobs: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._is_up = True

    def tell(self, topic: str, data: object, **fields: object) -> None:
        """Send an event to all who want to know of *topic*."""
        self._jobs.put(lambda: self._tell(topic, data, **fields))

    def end_subscriptions(self, code: str) -> None:
        """End every subscription with the error *code*."""
        self._jobs.put(lambda: self._end_subscriptions(code))

    def go_away(self) -> None:
        """Hang up; return when nobody listens any more."""
        done = threading.Event()
        self._jobs.put(lambda: self._go_away(done))
        assert done.wait(PATIENCE_S)

    def come_back(self) -> None:
        """Listen again, as the next daemon does."""
        self._jobs.put(self._come_back)

    def wait_for(self, op: str) -> None:
        """Return when the next request with *op* has come."""
        until = time.monotonic() + PATIENCE_S
        while self.asked.get(timeout=max(0.0, until - time.monotonic())) != op:
            pass

    def _serve_all(self) -> None:
        while not self._stopping.is_set():
            while not self._jobs.empty():
                self._jobs.get()()
            if not self._is_up:
                self._stopping.wait(POLL_MS / 1000)
            elif self._router and self._router.poll(POLL_MS):
                self._answer(self._read())

    def _answer(self, request: dict[str, Any]) -> None:
        match request["op"]:
            case "subscribe":
                self._subscriptions.append(request)
                for topic in request["topics"]:
                    self._send_event(request, topic, self.snapshots[topic], snapshot=True)
            case "cancel":
                pass
            case op:
                self.result(request, self.results[op])
        self.asked.put(request["op"])

    def _tell(self, topic: str, data: object, **fields: object) -> None:
        for request in self._subscriptions:
            if topic in request["topics"]:
                self._send_event(request, topic, data, **fields)

    def _end_subscriptions(self, code: str) -> None:
        for request in self._subscriptions:
            self.error(request, code)
        self._subscriptions = []

    def _send_event(
        self, request: dict[str, Any], topic: str, data: object, **fields: object
    ) -> None:
        event = {"type": "event", "id": request["id"], "topic": topic, "data": data}
        self.send(event | {"time": 1.7e9, "snapshot": False, "missed": 0} | fields)

    def _go_away(self, done: threading.Event) -> None:
        self._is_up, self._subscriptions = False, []
        self.hang_up()
        self._path.unlink(missing_ok=True)
        done.set()

    def _come_back(self) -> None:
        self.listen()
        self._is_up = True
