"""Whoever is not this user, or does not speak the protocol, at the door of the real daemon."""

import json
import socket
from pathlib import Path
from typing import Any

import pytest
import zmq

from devsynthctl import Client
from tests.support.daemon import DaemonProcess
from tests.support.second_user import run_as_second_user, second_user


def knock(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


def ask(path: Path, body: bytes) -> dict[str, Any]:
    """Send one request, in JSON, and return the reply to it."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as dealer:
        dealer.connect(f"ipc://{path}")
        dealer.send(body)
        reply: dict[str, Any] = json.loads(dealer.recv())
    return reply


def test_another_user_cannot_connect(daemon: DaemonProcess) -> None:
    with pytest.raises(PermissionError):
        run_as_second_user(knock, daemon.socket)


@pytest.mark.parametrize(
    "body", [b'{"op": "ping", "id": 1}', b'{"op": "generate", "id": 1, "prompt": "hi"}', b"{"]
)
def test_another_user_who_gets_in_is_told_that_it_may_not(
    daemon: DaemonProcess, body: bytes
) -> None:
    daemon.socket.parent.chmod(0o755)
    daemon.socket.chmod(0o666)

    reply = run_as_second_user(ask, daemon.socket, body)

    assert reply["type"] == "error"
    assert reply["error"]["code"] == "forbidden"
    assert f"uid {second_user().pw_uid}" in reply["error"]["message"]
    assert reply["error"]["retryable"] is False
    assert daemon.ctl("ping").returncode == 0


def test_noise_does_not_keep_the_daemon_from_its_end(daemon: DaemonProcess) -> None:
    with Client(daemon.endpoint) as client:
        strangers = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for number, stranger in enumerate(strangers):
            stranger.connect(str(daemon.socket))
            stranger.sendall(bytes(range(number, 256)) * 3)
        assert client.generate("hi").text == "Hello world"
        client.shutdown()
        assert daemon.wait() == 0
        for stranger in strangers:
            stranger.close()
