"""A pipe outlives the daemon: what becomes of what was asked, and who answers next."""

import signal
import socket
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from tests.process.conftest import asks
from tests.process.piped import last_of, piped
from tests.process.test_ctl_requests import wait_states
from tests.support.daemon import DaemonProcess, Dealer, daemon_process, environ_of
from tests.support.fake_daemon import FakeDaemon
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import silence, tokens
from tests.support.upstream_server import UpstreamServer


def kill(daemon: DaemonProcess) -> None:
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL


def drain(daemon: DaemonProcess) -> None:
    """Have the daemon shut down, and wait until it takes nothing new."""
    with closing(Dealer(daemon.endpoint)) as dealer:
        generation = dealer.ask(op="list", id=1)["result"]["generation"]
        dealer.send(op="list", id=2, since=generation)
        daemon.signal(signal.SIGTERM)
        assert dealer.receive()["error"]["code"] == "shutting_down"


def test_without_a_daemon_each_line_is_told_so_until_there_is_one(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with piped(environ_of(short_dir)) as pipe:
        pipe.send("ping", 1)
        pipe.send("generate", 2, prompt="hi")
        for number in (1, 2):
            error = pipe.error(number)
            assert (error["code"], error["retryable"]) == ("daemon_unreachable", True)
            assert "no socket" in error["message"]
            assert error["hint"] == "start the daemon: devsynthd &"

        with daemon_process(short_dir, environ=asks(upstream)) as daemon:
            pipe.send("ping", 3)
            assert pipe.result(3)["pid"] == daemon.process.pid
            assert len(pipe.end()) == 3


def test_the_hint_names_the_socket_that_was_given(short_dir: Path) -> None:
    with piped(environ_of(short_dir), before=("--socket", f"{short_dir}/o t.sock")) as pipe:
        pipe.send("ping", 1)

        assert pipe.error(1)["hint"].endswith(f"devsynthd --socket '{short_dir}/o t.sock' &")


def test_who_listens_and_stays_silent_is_not_waited_for_beyond_the_deadline(
    short_dir: Path,
) -> None:
    with socket.socket(socket.AF_UNIX) as listener, piped(environ_of(short_dir)) as pipe:
        listener.bind(f"{short_dir}/s.sock")
        listener.listen()
        pipe.send("ping", 1, timeout=0.2)

        assert pipe.error(1)["code"] == "no_answer"


def test_a_kill_ends_what_is_in_flight_and_the_next_daemon_answers(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.extend([silence(), silence()])
    environ = asks(upstream)
    with piped(environ_of(short_dir)) as pipe:
        with daemon_process(short_dir, environ=environ) as first:
            for number in (1, 2):
                pipe.send("generate", number, prompt="hi", stream=True)
                upstream.wait_generation(number)
            pipe.send("subscribe", 3, topics=["models"])
            generation = pipe.reply("event", 3)["data"]["generation"]
            pipe.send("list", 4, since=generation, timeout=60)
            wait_states(first, ["waiting", "waiting", "streaming", "waiting"])

            kill(first)

            for number in (1, 2, 3):
                assert pipe.error(number)["code"] == "connection_lost"
                assert pipe.error(number)["retryable"] is True
        pipe.send("ping", 5)
        assert pipe.error(5)["code"] == "daemon_unreachable"
        with daemon_process(short_dir, environ=environ) as second:
            assert pipe.result(4)["generation"] > generation  # it was asked again by itself
            pipe.send("ping", 6)
            assert pipe.result(6)["pid"] == second.process.pid
            pipe.send("generate", 1, prompt="hi")
            assert pipe.result(1)["text"] == "Hello world"
            pipe.close()
            pipe.ended(0)


def test_what_waits_for_the_next_daemon_does_so_to_its_deadline(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with (
        piped(environ_of(short_dir)) as pipe,
        daemon_process(short_dir, environ=asks(upstream)) as daemon,
    ):
        pipe.send("list", "now")
        generation = pipe.result("now")["generation"]
        pipe.send("list", "later", since=generation, timeout=1)
        wait_states(daemon, ["waiting"])

        kill(daemon)

        assert pipe.error("later")["code"] == "connection_lost"
        assert len(pipe.end()) == 2


def test_what_a_draining_daemon_refuses_goes_to_the_next_one(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("last ", "word", gate=gate))
    environ = asks(upstream, daemon_max_concurrency="1")
    with piped(environ_of(short_dir)) as pipe:
        with daemon_process(short_dir, environ=environ) as first:
            pipe.send("generate", "runs", prompt="hi", stream=True)
            gate.step()
            assert pipe.reply("chunk", "runs")
            pipe.send("subscribe", "s", topics=["models"])
            assert pipe.reply("event", "s")
            pipe.send("generate", "waits", prompt="hi", stream=True)
            wait_states(first, ["streaming", "streaming", "queued"])

            drain(first)

            pipe.send("generate", "late", prompt="hi")
            pipe.send("ping", "behind")
            assert pipe.result("behind")
            gate.step(2)
            assert pipe.error("s")["code"] == "shutting_down"  # a part of it has come
            assert pipe.result("runs")["text"] == "last word"
            assert first.wait() == 0
        with daemon_process(short_dir, environ=environ):
            replies = pipe.end()
    last = last_of(replies)
    for each in ("waits", "late"):
        assert last[each]["type"] == "result", last[each]
        assert last[each]["result"]["text"] == "Hello world"
    assert "".join(
        reply["text"] for reply in replies if (reply["type"], reply["id"]) == ("chunk", "waits")
    ) == ("Hello world")


def refusing(fake: FakeDaemon) -> None:
    """Refuse a generation, answer a ping, and hang up when the test says so."""
    error = {"code": "shutting_down", "message": "not any more", "retryable": True}
    for fields in ({"type": "error", "error": error}, {"type": "result", "result": {}}):
        request = fake.receive()
        reply = {"type": fields.pop("type"), "id": request["id"], **fields}
        fake.send_body(request["id"], msgspec.json.encode(reply))
    fake.go.wait()


def test_what_waits_for_the_next_daemon_can_be_cancelled(short_dir: Path) -> None:
    environ = environ_of(short_dir)
    with FakeDaemon(short_dir / "s.sock", refusing) as fake, piped(environ) as pipe:
        pipe.send("generate", "g", prompt="hi")
        pipe.send("ping", "p")
        assert pipe.result("p") == {}

        pipe.send("cancel", "c", target="g")

        assert pipe.error("g")["code"] == "cancelled"
        assert pipe.result("c") == {"cancelled": True}
        fake.go.set()
        assert len(pipe.end()) == 3


@pytest.mark.parametrize("timeout", [1, 2])
def test_a_refusal_is_told_when_nobody_else_comes(short_dir: Path, timeout: int) -> None:
    environ = environ_of(short_dir)
    with FakeDaemon(short_dir / "s.sock", refusing) as fake, piped(environ) as pipe:
        pipe.send("generate", "g", prompt="hi", timeout=timeout)
        pipe.send("ping", "p")
        assert pipe.result("p") == {}
        fake.go.set()

        assert pipe.error("g")["code"] == "shutting_down"
        assert pipe.error("g")["message"] == "not any more"  # as the daemon said it


def test_who_speaks_another_protocol_is_hung_up_on(short_dir: Path) -> None:
    def script(fake: FakeDaemon) -> None:
        request = fake.receive()
        fake.receive()
        fake.send_body(request["id"], b"\x93not JSON")
        fake.wait_until_cancelled(request)

    with FakeDaemon(short_dir / "s.sock", script), piped(environ_of(short_dir)) as pipe:
        pipe.send("generate", 1, prompt="hi")
        pipe.send("ping", 2)

        for number in (1, 2):
            assert pipe.error(number)["code"] == "bad_reply"
        assert len(pipe.end()) == 2


def test_an_error_that_names_nobody_leaves_nobody_without_an_end(short_dir: Path) -> None:
    def script(fake: FakeDaemon) -> None:
        request = fake.receive()
        error = b'{"type":"error","id":null,"error":{"code":"bad_request","message":"nested"}}'
        fake.send_body(request["id"], error)
        fake.wait_until_cancelled(request)

    with FakeDaemon(short_dir / "s.sock", script), piped(environ_of(short_dir)) as pipe:
        pipe.send("generate", 1, prompt="hi")

        assert "did not say which one: nested" in pipe.error(1)["message"]
        assert len(pipe.end()) == 1


def test_a_daemon_that_hangs_is_given_up(short_dir: Path, upstream: UpstreamServer) -> None:
    with (
        daemon_process(short_dir, environ=asks(upstream)) as daemon,
        piped(daemon.environ) as pipe,
    ):
        pipe.send("ping", 1)
        assert pipe.result(1)["pid"] == daemon.process.pid
        daemon.signal(signal.SIGSTOP)
        pipe.send("generate", 2, prompt="hi", timeout=0.1)
        pipe.send("list", 3, timeout=0.1)
        try:
            for number in (2, 3):
                error = pipe.error(number)
                assert (error["code"], error["retryable"]) == ("no_answer", True)
        finally:
            daemon.signal(signal.SIGCONT)
        pipe.send("ping", 4)
        assert pipe.result(4)["pid"] == daemon.process.pid
        assert len(pipe.end()) == 4


def test_lines_may_wait_for_the_next_daemon(short_dir: Path, upstream: UpstreamServer) -> None:
    with piped(environ_of(short_dir), "--wait", "15") as pipe:
        for number in range(20):
            pipe.send("generate", number, prompt="hi")
        with daemon_process(short_dir, environ=asks(upstream)):
            assert [pipe.result(number)["text"] for number in range(20)] == ["Hello world"] * 20
            assert len(pipe.end()) == 20
