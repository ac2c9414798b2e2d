"""Another user who gets to the daemon's socket since the permissions were opened by mistake."""

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq

from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, Dealer, daemon_process
from tests.support.second_user import run_as_second_user, second_user
from tests.support.upstream_server import UpstreamServer

FIELDS: dict[str, dict[str, Any]] = {
    "select": {"model": "m", "persist": True},
    "generate": {"prompt": "hi"},
    "embed": {"input": "hi"},
    "load": {"model": "m"},
    "unload": {"model": "m"},
    "download": {"model": "m"},
    "cancel": {"request": 1},
    "config_get": {"key": "llm_api_key"},
    "config_set": {"key": "llm_api_base", "value": "http://127.0.0.1:1/v1"},
    "subscribe": {"topics": ["log", "models", "requests", "config", "upstream"]},
    "shutdown": {"grace": 0},
}
"""What an op needs, or what could do the most harm."""
CONNECTIONS, MESSAGES = 10, 1500


@pytest.fixture
def opened(short_dir: Path, upstream: UpstreamServer) -> Iterator[DaemonProcess]:
    """Run a daemon whose socket everybody can connect to."""
    environ = asks(upstream, llm_api_key="secret-key")
    with daemon_process(short_dir, environ=environ) as daemon:
        daemon.wait_logged("is reachable")
        daemon.socket.parent.chmod(0o755)
        daemon.socket.chmod(0o666)
        yield daemon


def ask_each(path: Path, bodies: list[bytes]) -> list[dict[str, Any]]:
    """Send *bodies*, and one that nobody could read; return the replies."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.connect(f"ipc://{path}")
        for body in [*bodies, b"{"]:
            dealer.send(body)
        return [json.loads(dealer.recv()) for _ in [*bodies, b"{"]]


def test_every_op_is_forbidden_and_does_nothing(
    opened: DaemonProcess, upstream: UpstreamServer
) -> None:
    with contextlib.closing(Dealer(opened.endpoint)) as own:
        ops = own.ask(op="ping", id=1)["result"]["ops"]
        before = own.ask(op="config_get", id=2)
        bodies = [json.dumps({"op": op, "id": 1, **FIELDS.get(op, {})}).encode() for op in ops]

        replies = run_as_second_user(ask_each, opened.socket, bodies)

        assert own.ask(op="config_get", id=2) == before
        assert own.ask(op="status", id=3)["result"]["requests"] == []
    assert len(ops) >= 15
    assert [reply["error"]["code"] for reply in replies] == ["forbidden"] * (len(ops) + 1)
    assert {reply["error"]["message"] for reply in replies} == {
        f"uid {second_user().pw_uid} may not use this socket"
    }
    assert upstream.generations == []
    assert "secret-key" not in json.dumps(replies)
    assert opened.process.poll() is None
    told = f"uid {second_user().pw_uid} was refused"
    assert opened.wait_logged(told)
    assert opened.log().count(told) == 1


def flood(path: Path, connections: int, messages: int) -> int:
    """Send many messages on many connections, never more than the daemon takes; count answers."""
    with zmq.Context() as context, contextlib.ExitStack() as exits:
        dealers = [exits.enter_context(context.socket(zmq.DEALER)) for _ in range(connections)]
        for dealer in dealers:
            dealer.connect(f"ipc://{path}")
        for _ in range(messages):
            for dealer in dealers:
                dealer.send(b'{"op": "list", "id": 1}')
        return sum(b'"forbidden"' in dealer.recv() for dealer in dealers for _ in range(messages))


def test_one_who_floods_keeps_nobody_waiting(opened: DaemonProcess) -> None:
    answered = 0

    def be_flooded() -> None:
        nonlocal answered
        answered = run_as_second_user(flood, opened.socket, CONNECTIONS, MESSAGES)

    with contextlib.closing(Dealer(opened.endpoint)) as own:
        own.ask(op="list", id=1)
        thread = threading.Thread(target=be_flooded)
        thread.start()
        meanwhile = []
        while thread.is_alive():
            meanwhile.append(timed(own))
        thread.join()
    assert answered == CONNECTIONS * MESSAGES
    assert max(meanwhile) < 2


def timed(dealer: Dealer) -> float:
    """Return how long an answer takes, in seconds."""
    began = time.monotonic()
    assert dealer.ask(op="list", id="l")["type"] == "result"
    return time.monotonic() - began
