"""A daemon that a test scripts: a real ROUTER socket on which every reply is written out."""

import queue
import struct
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import zmq

from devsynthd.transport.router import TERMINATION_LIMIT_S
from devsynthd.transport.termination import terminate
from devsynthd.wire.codec import decode_request, encoding_of
from devsynthd.wire.freeform import value_of
from devsynthd.wire.requests import Request

PATIENCE_MS = 10_000
POLL_MS = 5
"""How soon it is noticed that the test has ended."""

Script = Callable[["FakeDaemon"], None]


class FakeDaemon:
    """Runs *script* in a thread of its own; leaving the block waits for its end.

    A script reads from top to bottom what comes, and says what is answered. A script that fails,
    or waits in vain, fails the test.
    """

    def __init__(self, path: Path, script: Script) -> None:
        self._path, self._script = path, script
        self._context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
        self._thread = threading.Thread(target=self._run)
        self._fault: BaseException | None = None
        self._router: zmq.Socket[bytes] | None = None
        self._monitor: zmq.Socket[bytes]
        self._knocked = False
        self._peer_of: dict[object, bytes] = {}
        self.seen: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        """All requests, in the order in which they came."""
        self.go = threading.Event()
        """For the test to tell the script that it may go on."""
        self._stopping = threading.Event()

    def __enter__(self) -> Self:
        self.listen()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stopping.set()
        self.go.set()
        self._thread.join()
        terminate(self._context, TERMINATION_LIMIT_S)
        if self._fault and not exc:
            raise self._fault

    def listen(self) -> None:
        """Bind the socket, as a daemon does when it starts."""
        self._router = self._context.socket(zmq.ROUTER)
        self._router.set(zmq.SNDHWM, 0)
        self._monitor = self._router.get_monitor_socket(
            int(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_DISCONNECTED)
        )
        self._router.bind(f"ipc://{self._path}")

    def hang_up(self) -> None:
        """Close the socket, as a daemon does when it exits; what was said before still arrives."""
        assert self._router
        self._router.disable_monitor()
        self._monitor.close(linger=0)
        self._router.close(linger=1000)
        self._router = None

    def wait_until_cancelled(self, request: dict[str, Any]) -> None:
        """Return when *request* is cancelled, by name or because its client went away."""
        assert self._router
        poller = zmq.Poller()
        poller.register(self._router, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while ready := dict(poller.poll(PATIENCE_MS)):
            if self._router in ready:
                cancel = self._read()
                assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])
                return
            if self._a_client_left():
                return
        raise AssertionError("the request was not cancelled")

    def _a_client_left(self) -> bool:
        """Read one event of the monitor; who hangs up before the handshake was no client."""
        (event,) = struct.unpack_from("=H", self._monitor.recv_multipart()[0])
        was_client, self._knocked = not self._knocked, event != zmq.EVENT_DISCONNECTED
        return was_client and event == zmq.EVENT_DISCONNECTED

    def receive(self) -> dict[str, Any]:
        """Return the next request."""
        assert self._router
        if not self._router.poll(PATIENCE_MS):
            raise AssertionError("no request came")
        return self._read()

    def send(self, reply: dict[str, Any]) -> None:
        """Send *reply* to whoever made the request of its id."""
        self.send_body(reply["id"], msgspec.msgpack.encode(reply))

    def send_body(self, request_id: object, body: bytes) -> None:
        """Send *body*, whatever it is, to whoever made the request *request_id*."""
        assert self._router
        self._router.send_multipart([self._peer_of[request_id], body])

    def result(self, request: dict[str, Any], result: object) -> None:
        self.send({"type": "result", "id": request["id"], "result": result})

    def chunk(self, request: dict[str, Any], seq: int, text: str, **fields: object) -> None:
        reply = {"type": "chunk", "id": request["id"], "seq": seq, "text": text}
        self.send(reply | fields)

    def progress(
        self,
        request: dict[str, Any],
        state: str,
        fraction: float | None = None,
        *,
        position: int | None = None,
    ) -> None:
        reply = {"type": "progress", "id": request["id"], "state": state, "position": position}
        self.send(reply | {"fraction": fraction, "request": 7})

    def error(self, request: dict[str, Any], code: str, **fields: object) -> None:
        error = {"code": code, "message": f"it is {code}", "retryable": False} | fields
        self.send({"type": "error", "id": request["id"], "error": error})

    def serve(self, results: Mapping[str, object]) -> None:
        """Answer every request by its op with the same results, until the test ends."""
        assert self._router
        while not self._stopping.is_set():
            if self._router.poll(POLL_MS):
                request = self._read()
                self.result(request, results[request["op"]])

    def refuse(self, request: dict[str, Any]) -> None:
        """Refuse *request*, as a daemon does that shuts down."""
        self.error(request, "shutting_down", message="the daemon is shutting down")

    def refuse_all(self) -> None:
        """Refuse every request that comes, until the test ends."""
        assert self._router
        while not self._stopping.is_set():
            if self._router.poll(POLL_MS):
                request = self._read()
                if request["op"] != "cancel":
                    self.refuse(request)

    def _read(self) -> dict[str, Any]:
        assert self._router
        peer, body = self._router.recv_multipart()
        request = _with_defaults(decode_request(body, encoding_of(body)))
        self._peer_of[request["id"]] = peer
        self.seen.put(request)
        return request

    def _run(self) -> None:
        try:
            self._script(self)
        except BaseException as exc:  # noqa: BLE001 - raised again in the test's thread
            self._fault = exc
        if self._router:
            self.hang_up()


def _with_defaults(request: Request) -> dict[str, Any]:
    """Return all fields of *request*, also those that were not sent."""
    fields = {name: getattr(request, name) for name in request.__struct_fields__}
    return {"op": request.__struct_config__.tag} | {
        name: value_of(value) if isinstance(value, msgspec.Raw) else msgspec.to_builtins(value)
        for name, value in fields.items()
    }
