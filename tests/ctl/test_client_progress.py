"""A program that is told how far its generation is, and gets calls of tools as they come."""

from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import Incomplete
from devsynthd.wire.replies import Progress
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, completion

PARTS: list[dict[str, Any]] = [
    {"index": 0, "id": "a", "type": "function", "function": {"name": "now", "arguments": '{"z'}},
    {"index": 0, "function": {"arguments": '": 1}'}},
]
CALL = {"id": "a", "type": "function", "function": {"name": "now", "arguments": '{"z": 1}'}}


def staged(daemon: FakeDaemon) -> None:
    """Answer one generation, with all that may come before its first text."""
    request = daemon.receive()
    assert request["progress"] is True
    daemon.progress(request, "queued", position=2)
    daemon.progress(request, "queued", position=0)
    daemon.progress(request, "loading")
    daemon.progress(request, "waiting")
    if request["stream"]:
        daemon.chunk(request, 0, "Yes.")
    daemon.result(request, completion("Yes."))


STAGES = [("queued", 2), ("queued", 0), ("loading", None), ("waiting", None)]


def test_a_stream_tells_how_far_it_is(socket_path: Path) -> None:
    told: list[Progress] = []
    with FakeDaemon(socket_path, staged), Client(socket_path) as client:
        stream = client.stream("hi", on_progress=told.append)
        assert [chunk.text for chunk in stream] == ["Yes."]
    assert [(each.state, each.position) for each in told] == STAGES
    assert {each.request for each in told} == {7}


def test_a_whole_answer_tells_it_too(socket_path: Path) -> None:
    told: list[Progress] = []
    with FakeDaemon(socket_path, staged), Client(socket_path) as client:
        assert client.generate("hi", on_progress=told.append).text == "Yes."
    assert [(each.state, each.position) for each in told] == STAGES


def test_progress_is_not_asked_for_if_nobody_listens(socket_path: Path) -> None:
    with FakeDaemon(socket_path, lambda each: each.serve({"generate": completion("")})) as daemon:
        with Client(socket_path) as client:
            client.generate("hi")
            list(client.stream("hi"))
        assert [daemon.seen.get()["progress"] for _ in range(2)] == [False, False]


@pytest.mark.parametrize("fault", [KeyboardInterrupt(), Incomplete("another one's")], ids=repr)
def test_what_on_progress_raises_cancels_the_stream(
    socket_path: Path, fault: BaseException
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        daemon.wait_until_cancelled(request)
        daemon.result(daemon.receive(), PONG)

    def listen(_progress: Progress) -> None:
        raise fault

    with FakeDaemon(socket_path, script), Client(socket_path) as client:
        stream = client.stream("hi", on_progress=listen)
        with pytest.raises(type(fault)):
            next(stream)
        assert list(stream) == []
        assert client.ping().pid == 4321


def test_calls_of_tools_come_in_pieces(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        for seq, part in enumerate(PARTS):
            daemon.chunk(request, seq, "", tool_calls=[part])
        daemon.result(request, completion("", tool_calls=[CALL]))

    with FakeDaemon(socket_path, script), Client(socket_path) as client:
        stream = client.stream("hi", tools=[])
        parts = [part for chunk in stream for part in chunk.tool_calls]
        (call,) = stream.result.tool_calls
    assert parts[0].id == call.id == "a"
    assert "".join(part.function.arguments for part in parts) == call.function.arguments
