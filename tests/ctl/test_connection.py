"""The client when the daemon is not there, is slow, goes away, or comes back."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from devsynthctl import Client, ConnectionLost, DaemonUnreachable, NoAnswer
from devsynthctl.connection import Disconnected
from devsynthctl.link import Link
from devsynthctl.zmtp import OPENING
from devsynthd.host.service_names import SYSTEMD_SERVICE
from devsynthd.wire.codec import encode
from devsynthd.wire.errors import ConfigInvalid, Forbidden, ShuttingDown
from devsynthd.wire.replies import Progress
from devsynthd.wire.requests import Select
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import PONG, SELECTED, STATUS, completion, models
from tests.support.second_user import run_as_second_user, second_user


@contextmanager
def listening(path: Path) -> Iterator[socket.socket]:
    """Listen without ever answering."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        yield listener


def test_nobody_there_is_an_error_at_once(socket_path: Path) -> None:
    started = time.monotonic()
    with Client(socket_path) as ctl, pytest.raises(DaemonUnreachable) as caught:
        ctl.ping()
    assert time.monotonic() - started < 1
    assert f"no socket at {socket_path}" in str(caught.value)
    assert caught.value.hint == f"start the daemon: devsynthd --socket {socket_path} &"


def test_a_dead_daemon_s_socket_is_told_apart(socket_path: Path) -> None:
    with listening(socket_path):
        pass
    with Client(socket_path) as ctl, pytest.raises(DaemonUnreachable, match="is gone"):
        ctl.ping()


def test_a_path_that_is_no_socket_is_told_apart(socket_path: Path) -> None:
    socket_path.write_text("a file")
    with Client(socket_path) as ctl, pytest.raises(DaemonUnreachable, match="not a socket"):
        ctl.ping()


def ping_for_reason(path: Path) -> str:
    with Client(path) as ctl, pytest.raises(Forbidden) as caught:
        ctl.ping()
    return str(caught.value)


def test_another_user_s_socket_is_told_apart(short_dir: Path, socket_path: Path) -> None:
    with listening(socket_path):
        socket_path.chmod(0o600)
        short_dir.chmod(0o755)
        assert second_user().pw_uid != socket_path.stat().st_uid
        assert "belongs to another user" in run_as_second_user(ping_for_reason, socket_path)


def test_without_an_address_the_common_rule_holds(
    socket_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_SOCKET", f"ipc://{socket_path}")
    with FakeDaemon(socket_path, lambda daemon: daemon.serve({"ping": PONG})), Client() as ctl:
        assert ctl.ping().pid == 4321
    with Client() as ctl, pytest.raises(DaemonUnreachable) as caught:
        ctl.ping()
    assert caught.value.hint == "start the daemon: devsynthd &"


def test_where_the_service_is_installed_the_hint_is_to_start_it(
    socket_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_SOCKET", str(socket_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "systemd/user").mkdir(parents=True)
    unit = tmp_path / "systemd/user" / SYSTEMD_SERVICE
    unit.write_text(f"ExecStart=/usr/bin/devsynthd --socket {socket_path}\n")
    with Client() as ctl, pytest.raises(DaemonUnreachable) as caught:
        ctl.ping()
    assert caught.value.hint == "start the daemon: devsynthctl service start"
    unit.write_text("ExecStart=/usr/bin/devsynthd\n")  # which listens elsewhere
    with Client() as ctl, pytest.raises(DaemonUnreachable) as caught:
        ctl.ping()
    assert caught.value.hint == "start the daemon: devsynthd &"
    with Client(socket_path) as ctl, pytest.raises(DaemonUnreachable) as caught:
        ctl.ping()
    assert caught.value.hint == f"start the daemon: devsynthd --socket {socket_path} &"


def test_an_address_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigInvalid):
        Client("tcp://127.0.0.1:5555")


def test_a_silent_listener_is_not_waited_for_longer_than_the_timeout(socket_path: Path) -> None:
    with listening(socket_path), Client(socket_path, timeout=0.2) as ctl:
        with pytest.raises(NoAnswer):
            ctl.ping()
        with pytest.raises(NoAnswer):
            ctl.connect()


def test_a_listener_that_speaks_something_else_is_not_taken_for_a_daemon(
    socket_path: Path,
) -> None:
    with listening(socket_path) as listener, Client(socket_path, timeout=0.5) as ctl:
        listener.settimeout(10)

        def greet() -> None:
            for _ in range(2):
                peer, _ = listener.accept()
                peer.close()

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NoAnswer):
            ctl.ping()
        thread.join()


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        OPENING,  # of a socket like ours
        OPENING[:64] + b"\6" + bytes([0x7F] * 8),  # a command without an end
    ],
)
def test_who_is_no_daemon_is_told_as_that_at_once(socket_path: Path, said: bytes) -> None:
    def answer(listener: socket.socket) -> None:
        with listener.accept()[0] as peer:
            peer.sendall(said)

    with listening(socket_path) as listener, Client(socket_path) as ctl:
        thread = threading.Thread(target=answer, args=(listener,))
        thread.start()
        with pytest.raises(DaemonUnreachable, match="is no devsynthd"):
            ctl.ping()
        thread.join()


def test_a_daemon_that_is_still_starting_is_waited_for(socket_path: Path) -> None:
    """A service manager's socket accepts long before the daemon behind it speaks."""
    daemon = FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG}))
    accepted = threading.Event()

    def start_late(listener: socket.socket) -> None:
        listener.settimeout(10)
        peer, _ = listener.accept()
        peer.close()  # as when a start fails; the client comes again
        socket_path.unlink()
        daemon.__enter__()
        accepted.set()

    with listening(socket_path) as listener, Client(socket_path) as ctl:
        thread = threading.Thread(target=start_late, args=(listener,))
        thread.start()
        ctl.connect(wait=10)
        assert ctl.ping().pid == 4321
        thread.join()
    assert accepted.is_set()
    daemon.__exit__(None, None, None)


def test_connect_waits_for_a_daemon_to_appear(socket_path: Path) -> None:
    daemon = FakeDaemon(socket_path, lambda each: each.serve({"ping": PONG}))
    timer = threading.Timer(0.2, daemon.__enter__)
    timer.start()
    with Client(socket_path) as ctl:
        ctl.connect(wait=10)
        assert ctl.ping().pid == 4321
    timer.join()
    daemon.__exit__(None, None, None)


def test_connect_waits_no_longer_than_it_was_told(socket_path: Path) -> None:
    with Client(socket_path) as ctl, pytest.raises(DaemonUnreachable):
        ctl.connect(wait=0.2)


def test_a_daemon_that_never_answers_is_given_up_after_the_deadline(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        cancel = daemon.receive()
        assert cancel["target"] == request["id"]

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        started = time.monotonic()
        with pytest.raises(NoAnswer):
            ctl.generate("hi", timeout=0.1)
        # The daemon had its second to say so itself.
        assert 1.1 <= time.monotonic() - started < 2


def test_the_daemon_s_own_word_on_a_deadline_comes_first(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert not daemon.go.wait(0.3)
        daemon.result(request, completion("late, but there"))

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        assert ctl.generate("hi", timeout=0.1).text == "late, but there"


@pytest.mark.parametrize("op", ["ping", "status", "list"])
def test_what_changes_nothing_is_asked_again_of_the_next_daemon(socket_path: Path, op: str) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.receive()
        daemon.hang_up()
        daemon.listen()
        daemon.serve({"ping": PONG, "status": STATUS, "list": models()})

    with FakeDaemon(socket_path, script) as daemon, Client(socket_path) as ctl:
        assert getattr(ctl, op)()
        assert [daemon.seen.get()["op"] for _ in range(2)] == [op, op]


def test_what_changes_something_is_not_asked_again(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.receive()
        daemon.hang_up()
        daemon.listen()
        daemon.serve({"ping": PONG, "select": SELECTED})

    with FakeDaemon(socket_path, script) as daemon, Client(socket_path) as ctl:
        with pytest.raises(ConnectionLost) as caught:
            ctl.select("a")
        assert (caught.value.code, caught.value.retryable) == ("connection_lost", True)
        assert ctl.ping().pid == 4321
        assert [daemon.seen.get()["op"] for _ in range(2)] == ["select", "ping"]


def test_a_lost_stream_tells_what_came(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.hang_up()

    with (
        FakeDaemon(socket_path, script),
        Client(socket_path) as ctl,
        pytest.raises(ConnectionLost) as caught,
    ):
        list(ctl.stream("hi"))
    assert caught.value.details["text"] == "half an "


def test_what_came_before_the_end_is_not_lost(socket_path: Path) -> None:
    text = [f"{n} " for n in range(500)]

    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        for seq, each in enumerate(text):
            daemon.chunk(request, seq, each)
        daemon.result(request, completion("".join(text)))
        daemon.hang_up()
        daemon.listen()
        daemon.serve({"ping": PONG})

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("count")
        assert next(stream).text == "0 "
        assert ctl.ping().pid == 4321  # from the second daemon, on a new connection
        assert [chunk.text for chunk in stream] == text[1:]
        assert stream.result.text == "".join(text)


def test_an_idle_link_finds_the_next_daemon(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        assert daemon.go.wait(10)
        daemon.hang_up()
        daemon.listen()
        daemon.serve({"select": SELECTED})

    link = Link(socket_path, "test")
    with FakeDaemon(socket_path, script) as daemon, closing(link):
        session = link.connect(None)
        assert link.connect(None) is session
        daemon.go.set()
        with pytest.raises(Disconnected):
            session.read(until=None)
        inbox = link.send(encode(Select(id=1, model="a")), 1, None)
        assert inbox.next(until=None) is not None
        assert daemon.seen.get()["op"] == "select"


@pytest.mark.parametrize("op", ["generate", "select", "list"])
def test_what_a_draining_daemon_refused_goes_to_the_next_one(socket_path: Path, op: str) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")
        daemon.error(daemon.receive(), "shutting_down")
        daemon.hang_up()
        daemon.listen()
        answers = {"generate": completion("Yes."), "select": SELECTED, "list": models()}
        daemon.serve(answers)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        if op == "generate":
            assert ctl.generate("hi").text == "Yes."
        elif op == "select":
            assert ctl.select("a")
        else:
            assert ctl.list()


def test_what_a_draining_daemon_refused_and_then_did_not_read_goes_to_the_next_one(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")
        daemon.receive()
        daemon.hang_up()
        daemon.listen()
        daemon.serve({"generate": completion("Yes.")})

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        assert ctl.generate("hi").text == "Yes."


def test_a_stream_that_a_draining_daemon_refused_goes_to_the_next_one(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")
        daemon.hang_up()
        daemon.listen()
        request = daemon.receive()
        daemon.chunk(request, 0, "Yes.")
        daemon.result(request, completion("Yes."))

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        assert [chunk.text for chunk in ctl.stream("hi")] == ["Yes."]


@pytest.mark.parametrize("streams", [False, True])
def test_what_waited_in_the_queue_of_a_daemon_that_ends_goes_to_the_next_one(
    socket_path: Path, *, streams: bool
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        daemon.error(request, "shutting_down")
        daemon.hang_up()
        daemon.listen()
        request = daemon.receive()
        daemon.progress(request, "waiting")
        if streams:
            daemon.chunk(request, 0, "Yes.")
        daemon.result(request, completion("Yes."))

    told: list[str] = []

    def on_progress(progress: Progress) -> None:
        told.append(progress.state)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        if streams:
            chunks = ctl.stream("hi", on_progress=on_progress)
            assert [chunk.text for chunk in chunks] == ["Yes."]
        else:
            assert ctl.generate("hi", on_progress=on_progress).text == "Yes."
    assert told == ["queued", "waiting"]


def test_an_answer_that_has_begun_is_not_asked_for_again(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        daemon.chunk(request, 0, "half an ")
        daemon.error(request, "shutting_down")

    with FakeDaemon(socket_path, script) as daemon, Client(socket_path) as ctl:
        with pytest.raises(ShuttingDown) as caught:
            list(ctl.stream("hi", on_progress=lambda _: None))
        assert caught.value.details["text"] == "half an "
        daemon.seen.get()
        assert daemon.seen.empty()


def test_a_client_that_was_closed_says_so_where_its_stream_is_read_on(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "half an ")
        daemon.wait_until_cancelled(request)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("hi")
        assert next(stream).text == "half an "
        ctl.close()
        with pytest.raises(ConnectionLost, match="the client was closed") as caught:
            next(stream)
    assert caught.value.details["text"] == "half an "


def test_a_daemon_that_went_away_before_the_client_was_closed_is_told_as_that(
    socket_path: Path,
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.chunk(daemon.receive(), 0, "half an ")
        daemon.hang_up()
        daemon.listen()
        daemon.serve({"ping": PONG})

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        stream = ctl.stream("hi")
        assert next(stream).text == "half an "
        assert ctl.ping().pid == 4321  # of the next daemon
        with pytest.raises(ConnectionLost, match="went away"):
            next(stream)


class Enough(Exception):
    """What a program raises that no longer wants to wait."""


@pytest.mark.parametrize("streams", [False, True])
def test_a_program_can_stop_waiting_while_nothing_comes(
    socket_path: Path, *, streams: bool
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.wait_until_cancelled(daemon.receive())

    def on_idle() -> None:
        raise Enough

    with FakeDaemon(socket_path, script), Client(socket_path, on_idle=on_idle) as ctl:
        if streams:
            with ctl.stream("hi") as stream, pytest.raises(Enough):
                next(stream)
        else:
            with pytest.raises(Enough):
                ctl.generate("hi")


def test_a_daemon_that_drains_on_is_given_up_at_the_timeout(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        while request["op"] != "status":
            daemon.error(request, "shutting_down")
            request = daemon.receive()
        daemon.result(request, STATUS)

    with FakeDaemon(socket_path, script), Client(socket_path) as ctl:
        started = time.monotonic()
        with pytest.raises(ShuttingDown):
            ctl.generate("hi", timeout=0.3)
        assert time.monotonic() - started < 2
        assert ctl.status().pid == 4321  # which a draining daemon still answers


def test_shutdown_is_never_passed_on_to_the_next_daemon(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "shutting_down")

    with (
        FakeDaemon(socket_path, script) as daemon,
        Client(socket_path) as ctl,
        pytest.raises(ShuttingDown),
    ):
        ctl.shutdown()
    assert daemon.seen.get()["op"] == "shutdown"
    assert daemon.seen.empty()
