"""Who may talk to the daemon, and in which frames and encodings."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zmq

from tests.service.asking import error, result, told, until_answered
from tests.support.daemon import Dealer, RunningDaemon
from tests.support.second_user import run_as_second_user, second_user
from tests.support.upstream_server import UpstreamServer

PING = msgspec.msgpack.encode({"op": "ping", "id": 1})
JSON_PING = b'{"op":"ping","id":1}'


def test_dealer_without_a_delimiter(dealer: Dealer) -> None:
    dealer.socket.send(PING)

    (body,) = dealer.socket.recv_multipart()
    assert result(msgspec.msgpack.decode(body))["protocol"] == 1


def test_dealer_with_a_delimiter_gets_it_back(dealer: Dealer) -> None:
    request = {"op": "generate", "id": 1, "prompt": "hi", "stream": True}
    dealer.socket.send_multipart([b"", msgspec.msgpack.encode(request)])

    chunks: list[dict[str, Any]] = []
    while not chunks or chunks[-1]["type"] == "chunk":
        delimiter, body = dealer.socket.recv_multipart()
        assert delimiter == b""
        chunks.append(msgspec.msgpack.decode(body))
    assert told(chunks[:-1]) == result(chunks[-1])["text"] == "Hello world"


@pytest.mark.parametrize(
    ("frames", "count"),
    [
        pytest.param([PING] * 5, 5, id="five"),
        pytest.param([b"x", PING], 2, id="two without a delimiter"),
        pytest.param([PING, b""], 2, id="a delimiter at the end"),
        pytest.param([b"", b"", PING], 3, id="two delimiters"),
    ],
)
def test_other_frames_are_refused(dealer: Dealer, frames: list[bytes], count: int) -> None:
    dealer.socket.send_multipart(frames)

    *delimiter, body = dealer.socket.recv_multipart()
    assert delimiter == ([b""] if frames[0] == b"" else [])
    reply = msgspec.msgpack.decode(body)
    assert reply["id"] is None
    assert error(reply)["code"] == "bad_request"
    assert f"{count} frames" in error(reply)["message"]
    assert result(dealer.ask(op="ping", id=2))


@pytest.mark.parametrize("space", [b"", b" ", b"\r\n\t "])
def test_json_is_answered_in_json(dealer: Dealer, space: bytes) -> None:
    dealer.socket.send(space + JSON_PING)

    assert result(json.loads(dealer.socket.recv()))["protocol"] == 1


def test_errors_and_chunks_are_in_the_encoding_of_their_request(dealer: Dealer) -> None:
    dealer.socket.send(b'{"op":"generate","id":"j","prompt":"hi","stream":true}')
    types: list[str] = []
    while not types or types[-1] == "chunk":
        types.append(json.loads(dealer.socket.recv())["type"])
    assert types[-1] == "result"

    dealer.socket.send(b'{"op":"pong","id":"j"}')
    assert error(json.loads(dealer.socket.recv()))["code"] == "bad_request"
    assert result(dealer.ask(op="ping", id="m"))  # MessagePack on the same connection


def test_req_is_served(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    req = daemon.dealer(zmq.REQ)

    assert result(req.ask(op="ping", id=1))
    assert result(req.ask(op="generate", id=2, prompt="hi"))["text"] == "Hello world"
    assert error(req.ask(op="nonsense", id=3))["code"] == "bad_request"
    assert len(upstream.generations) == 1


def test_req_cannot_stream(daemon: RunningDaemon, upstream: UpstreamServer) -> None:
    req = daemon.dealer(zmq.REQ)

    reply = req.ask(op="generate", id=2, prompt="hi", stream=True)

    assert reply["id"] == 2
    assert error(reply)["code"] == "bad_request"
    assert "DEALER" in error(reply)["hint"]
    assert upstream.generations == []
    assert result(req.ask(op="ping", id=3))


def test_many_requests_of_one_client_are_in_flight_at_once(
    dealer: Dealer, upstream: UpstreamServer
) -> None:
    for number in range(20):
        dealer.send(op="generate", id=number, prompt=str(number))

    replies = until_answered(dealer, *range(20))

    assert {reply["id"] for reply in replies} == set(range(20))
    assert {result(reply)["text"] for reply in replies} == {"Hello world"}
    assert len(upstream.generations) == 20


def ask_as_stranger(endpoint: str) -> dict[str, Any]:
    """Send requests that would change something; return the last reply."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.setsockopt(zmq.RCVTIMEO, 10_000)
        socket.connect(endpoint)
        socket.send(msgspec.msgpack.encode({"op": "generate", "id": 1, "prompt": "hi"}))
        socket.recv()
        socket.send(b"not even a request")
        socket.recv()
        socket.send(msgspec.msgpack.encode({"op": "shutdown", "id": 2}))
        reply: dict[str, Any] = msgspec.msgpack.decode(socket.recv())
        return reply


@pytest.mark.timeout(30)  # it starts an interpreter of its own
def test_second_user_is_forbidden_where_the_modes_let_him_in(
    daemon: RunningDaemon, dealer: Dealer, short_dir: Path, upstream: UpstreamServer
) -> None:
    short_dir.chmod(0o777)
    daemon.path.chmod(0o666)

    reply = run_as_second_user(ask_as_stranger, daemon.endpoint)

    assert reply["id"] is None
    assert error(reply)["code"] == "forbidden"
    assert str(second_user().pw_uid) in error(reply)["message"]
    assert upstream.generations == []
    report = result(dealer.ask(op="status", id=1))
    assert report["totals"]["errors"] == {"forbidden": 3}
