"""How a pipe ends: drained, by a signal, or because nobody reads it."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.process.piped import WAIT_S, Piped, last_of, piped
from tests.process.test_ctl_requests import wait_states
from tests.support.daemon import CTL, DaemonProcess, environ_of
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import cut_after, silence, silence_after, tokens
from tests.support.upstream_server import UpstreamServer

ENDINGS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def test_what_is_in_flight_is_finished_after_the_end_of_stdin(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("last ", "word", gate=gate))
    with piped(daemon.environ) as pipe:
        pipe.send("subscribe", "s")
        pipe.send("generate", "g", prompt="hi", stream=True)
        upstream.wait_generation()
        pipe.close()
        assert pipe.error("s")["code"] == "cancelled"
        gate.step(3)

        last = last_of(pipe.ended(0))
    assert set(last) == {"s", "g"}
    assert last["g"]["result"]["text"] == "last word"


def test_it_ends_well_also_if_what_was_asked_failed(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(cut_after("half"))
    with piped(daemon.environ) as pipe:
        pipe.send("generate", 1, prompt="hi")
        pipe.send("pong", 2)
        pipe.write("what?\n")

        codes = {reply["id"]: reply["error"]["code"] for reply in last_of(pipe.end()).values()}
    assert codes == {1: "incomplete", 2: "bad_request", None: "bad_request"}


def test_without_a_daemon_it_ends_too(short_dir: Path) -> None:
    with piped(environ_of(short_dir)) as pipe:
        for number in range(100):
            pipe.send("generate", number, prompt="hi")

        codes = {reply["error"]["code"] for reply in last_of(pipe.end()).values()}
    assert codes == {"daemon_unreachable"}


# Signals ---------------------------------------------------------------------------------------


def assert_ended(pipe: Piped, status: int) -> None:
    assert pipe.process.wait(WAIT_S) == status
    assert pipe.said() == ""


@pytest.mark.parametrize(("number", "status"), ENDINGS)
def test_a_signal_cancels_what_is_in_flight(
    daemon: DaemonProcess, upstream: UpstreamServer, number: signal.Signals, status: int
) -> None:
    upstream.script.extend([silence(), silence_after("so far")])
    with piped(daemon.environ) as pipe:
        for each in (1, 2):
            pipe.send("generate", each, prompt="hi", stream=True)
            upstream.wait_generation(each)
        assert pipe.reply("chunk", 2)

        pipe.process.send_signal(number)

        assert_ended(pipe, status)
        for each in (1, 2):
            upstream.wait_disconnected(each)
        wait_states(daemon, [])


@pytest.mark.parametrize(("number", "status"), ENDINGS)
def test_a_signal_ends_it_without_a_daemon(
    short_dir: Path, number: signal.Signals, status: int
) -> None:
    with piped(environ_of(short_dir)) as pipe:
        pipe.send("ping", 1)
        assert pipe.error(1)

        pipe.process.send_signal(number)

        assert_ended(pipe, status)


@pytest.mark.parametrize(("number", "status"), ENDINGS)
def test_a_signal_ends_it_while_nobody_reads(
    daemon: DaemonProcess, upstream: UpstreamServer, number: signal.Signals, status: int
) -> None:
    upstream.script.append(silence_after(*["x" * 8000] * 200))
    with piped(daemon.environ, reads=False) as pipe:
        pipe.send("generate", 1, prompt="hi", stream=True)
        wait_states(daemon, ["streaming"])
        pipe.read_one()  # so it has begun to write

        pipe.process.send_signal(number)

        assert_ended(pipe, status)
        upstream.wait_disconnected()


def test_a_signal_ends_it_while_it_drains(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.script.append(silence())
    with piped(daemon.environ) as pipe:
        pipe.send("subscribe", "s", topics=["config"])
        pipe.send("generate", "g", prompt="hi")
        upstream.wait_generation()
        pipe.close()
        assert pipe.error("s")

        pipe.process.send_signal(signal.SIGTERM)

        assert_ended(pipe, 143)
        upstream.wait_disconnected()


# Nobody reads ----------------------------------------------------------------------------------


@pytest.mark.parametrize("drains", [False, True])
def test_it_ends_when_its_reader_has_left_during_silence(
    daemon: DaemonProcess, upstream: UpstreamServer, *, drains: bool
) -> None:
    upstream.script.append(silence())
    with piped(daemon.environ, reads=False) as pipe:
        pipe.send("generate", 1, prompt="hi")
        upstream.wait_generation()
        if drains:
            pipe.close()
        assert pipe.process.stdout
        pipe.process.stdout.close()

        assert_ended(pipe, 141)
        upstream.wait_disconnected()


def test_it_ends_when_its_reader_leaves_while_it_writes(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence_after(*["x" * 8000] * 200))
    with piped(daemon.environ, reads=False) as pipe:
        pipe.send("generate", 1, prompt="hi", stream=True)
        pipe.read_one()
        assert pipe.process.stdout
        pipe.process.stdout.close()

        assert_ended(pipe, 141)
        upstream.wait_disconnected()


def test_a_full_disk_is_told(daemon: DaemonProcess) -> None:
    with Path("/dev/full").open("wb") as full:
        outcome = subprocess.run(
            [*CTL, "pipe"],
            env=daemon.environ,
            input=b'{"op": "ping", "id": 1}\n',
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=WAIT_S,
            check=False,
        )
    assert outcome.returncode == 1
    assert b"the output could not be written: No space left on device" in outcome.stderr


def test_descriptors_that_do_not_block_are_fine(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    """As some runtimes leave the ends of the pipes that they give to a child."""
    upstream.script.append(tokens(*["x" * 8000] * 200))
    their_in, our_in = os.pipe()
    our_out, their_out = os.pipe()
    for fd in (their_in, their_out):
        os.set_blocking(fd, False)
    process = subprocess.Popen([*CTL, "pipe"], env=daemon.environ, stdin=their_in, stdout=their_out)
    for fd in (their_in, their_out):
        os.close(fd)
    with os.fdopen(our_in, "wb") as stdin, os.fdopen(our_out, "rb") as stdout:
        stdin.write(b'{"op": "generate", "id": 1, "prompt": "hi", "stream": true}\n')
        stdin.flush()
        upstream.wait_generation()
        stdin.close()

        *_, last = stdout.read().splitlines()
    assert process.wait(WAIT_S) == 0
    assert last.startswith(b'{"type":"result","id":1,')
