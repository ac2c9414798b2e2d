"""``events``: what happens as JSON lines, from one daemon to the next."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon
from tests.support.lines import Lines
from tests.support.replies import SOURCE

DOWN = SOURCE | {"reachable": False, "new_field": "\x9b"}


def send_event(
    daemon: FakeDaemon, request: dict[str, Any], topic: str, data: object, **fields: object
) -> None:
    event = {"type": "event", "id": request["id"], "topic": topic, "time": 1.5, "data": data}
    daemon.send(event | {"snapshot": False, "missed": 0} | fields)


class Reader:
    """The command, read line by line as it writes."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self._output: IO[str] = process.stdout or pytest.fail("no pipe")
        self.errors = Lines(process.stderr or pytest.fail("no pipe"))

    def next(self) -> dict[str, Any]:
        event: dict[str, Any] = json.loads(self._output.readline())
        return event

    def rest(self) -> str:
        return self._output.read()


@contextmanager
def running(command: list[str], *args: str) -> Iterator[Reader]:
    with subprocess.Popen(
        [*command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Reader(process)
        finally:
            process.kill()


def test_each_event_is_a_line_at_once(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert (request["op"], request["topics"]) == ("subscribe", None)
        assert request["timeout"] is None
        send_event(daemon, request, "upstream", SOURCE, snapshot=True)
        assert daemon.go.wait(10)
        send_event(daemon, request, "upstream", DOWN, missed=3)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script) as daemon, running(command, "events") as reader:
        first = reader.next()
        daemon.go.set()
        second = reader.next()
        reader.process.send_signal(signal.SIGINT)
        assert reader.process.wait(10) == 130
        assert reader.rest() == ""
        assert reader.errors.wait_end() == ""
    assert first == {
        "topic": "upstream",
        "time": 1.5,
        "snapshot": True,
        "missed": 0,
        "data": SOURCE,
    }
    assert (second["missed"], second["snapshot"], second["data"]) == (3, False, DOWN)


def test_the_topics_that_are_named_are_asked_for(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["topics"] == ["log", "config"]
        send_event(daemon, request, "log", {"level": "info", "message": "hi", "fields": {}})
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), running(command, "events", "log", "config") as reader:
        assert reader.next()["data"]["message"] == "hi"


def test_it_goes_on_with_the_next_daemon(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        send_event(daemon, request, "upstream", SOURCE, snapshot=True)
        assert daemon.go.wait(10)
        daemon.hang_up()
        daemon.listen()
        request = daemon.receive()
        assert request["op"] == "subscribe"
        send_event(daemon, request, "upstream", DOWN, snapshot=True)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script) as daemon, running(command, "events") as reader:
        assert reader.next()["data"]["reachable"]
        daemon.go.set()
        again = reader.next()
        assert (again["snapshot"], again["data"]["reachable"]) == (True, False)
        note = reader.errors.wait_for("waiting until it is back")
        assert "went away" in note
        reader.errors.wait_for("the daemon is back")
        assert reader.errors.text().splitlines()[1:] == ["devsynthctl: the daemon is back"]


def test_a_daemon_that_fails_again_and_again_is_told_of_once(
    command: list[str], socket_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        send_event(daemon, daemon.receive(), "upstream", SOURCE, snapshot=True)
        for _ in range(2):
            daemon.hang_up()
            daemon.listen()
            request = daemon.receive()
        send_event(daemon, request, "upstream", DOWN, snapshot=True)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), running(command, "events") as reader:
        assert reader.next()["data"]["reachable"]
        assert not reader.next()["data"]["reachable"]
        reader.errors.wait_for("the daemon is back")
        gone, back = reader.errors.text().splitlines()
        assert gone.endswith("; waiting until it is back")
        assert back == "devsynthctl: the daemon is back"


def test_a_daemon_that_drains_is_waited_for_as_well(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        send_event(daemon, request, "upstream", SOURCE, snapshot=True)
        daemon.error(request, "shutting_down", retryable=True)
        request = daemon.receive()
        send_event(daemon, request, "upstream", DOWN, snapshot=True)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), running(command, "events", "--json") as reader:
        assert reader.next()["data"]["reachable"]
        assert not reader.next()["data"]["reachable"]
        assert json.loads(reader.errors.wait_for("{"))["error"]["code"] == "shutting_down"
        assert reader.errors.text().count("\n") == 1  # the snapshots tell that one is back


def test_a_daemon_that_drains_is_asked_at_a_calm_pace(
    command: list[str], socket_path: Path
) -> None:
    asked_at: list[float] = []

    def script(daemon: FakeDaemon) -> None:
        for _ in range(3):
            request = daemon.receive()
            asked_at.append(time.monotonic())
            daemon.refuse(request)
        request = daemon.receive()
        send_event(daemon, request, "upstream", SOURCE, snapshot=True)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), running(command, "events") as reader:
        assert reader.next()["data"]["reachable"]
        assert reader.errors.text().count("waiting until it is back") == 1
    assert asked_at[2] - asked_at[0] > 2 * 0.4


def test_what_ends_for_good_is_told(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "forbidden")

    with FakeDaemon(socket_path, script):
        process = run("events")
    assert (process.returncode, process.stdout) == (7, "")
    assert "it is forbidden" in process.stderr


def test_without_a_daemon_at_the_beginning_it_fails(run: Run) -> None:
    process = run("events")
    assert (process.returncode, process.stdout) == (3, "")
    assert "devsynthd" in process.stderr


def test_a_timeout_ends_it_and_is_no_error(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        send_event(daemon, request, "upstream", SOURCE, snapshot=True)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script):
        process = run("events", "--timeout", "0.5")
    assert (process.returncode, process.stderr) == (0, "")
    assert json.loads(process.stdout)["topic"] == "upstream"


def test_a_reader_that_leaves_ends_it(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        send_event(daemon, request, "upstream", SOURCE, snapshot=True)
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), running(command, "events") as reader:
        reader.next()
        assert reader.process.stdout
        reader.process.stdout.close()
        assert reader.process.wait(10) == 141
        assert reader.errors.wait_end() == ""


@pytest.mark.parametrize(
    ("name", "told"),
    [("model", "did you mean models?"), ("xyz", "models, upstream, config, requests, log")],
)
def test_a_topic_that_there_is_not_is_a_mistake(run: Run, name: str, told: str) -> None:
    process = run("events", name)
    assert (process.returncode, process.stdout) == (2, "")
    assert f"there is no topic {name}" in process.stderr
    assert told in process.stderr
