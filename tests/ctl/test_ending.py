"""A command that is ended from outside, or that nobody listens to any more, leaves no traces."""

import os
import signal
import subprocess
import termios
from pathlib import Path

import pytest

from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of
from tests.support.replies import PONG

CURSOR_SHOWN = "\x1b[?25h"
WIPED = "\x1b[2K"
KEYS_READ, KEYS_LEFT = "\x1b[?2004h", "\x1b[?2004l"
"""What a prompt tells the terminal at its beginning and its end."""
LOCAL_FLAGS = 3  # in what the terminal says of itself
BROKEN_PIPE = 141

SIGNALS = [signal.SIGTERM, signal.SIGHUP]


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("option", [[], ["--no-stream"], ["--schema", "{}"]], ids=str)
def test_a_signal_wipes_off_what_is_drawn_and_cancels(
    command: list[str], socket_path: Path, number: signal.Signals, option: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        cancel = daemon.receive()  # by name, before it hangs up
        assert (cancel["op"], cancel["target"]) == ("cancel", request["id"])

    with (
        FakeDaemon(socket_path, script),
        at_terminal([*command, "--no-color", "generate", "hi", *option]) as child,
    ):
        child.expect("queued: 1 before this one")
        child.kill(number)
        rest = rest_of(child)
        assert child.exitstatus == 128 + number
    assert CURSOR_SHOWN in rest
    assert rest.endswith(WIPED)
    assert "Traceback" not in rest


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_at_the_prompt_of_a_chat_gives_the_terminal_back(
    command: list[str], socket_path: Path, tmp_path: Path, number: signal.Signals
) -> None:
    environ = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PROMPT_TOOLKIT_NO_CPR": "1"}
    with (
        FakeDaemon(socket_path, lambda daemon: daemon.serve({})),
        at_terminal([*command, "chat"], environ) as child,
    ):
        child.expect_exact(KEYS_READ)
        assert not termios.tcgetattr(child.child_fd)[LOCAL_FLAGS] & termios.ICANON
        child.kill(number)
        rest = rest_of(child)
        assert child.exitstatus == 128 + number
        flags = termios.tcgetattr(child.child_fd)[LOCAL_FLAGS]
    assert flags & termios.ICANON
    assert flags & termios.ECHO
    assert KEYS_LEFT in rest
    assert "Traceback" not in rest


def test_a_hangup_that_is_ignored_stays_ignored(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert daemon.go.wait(10)
        daemon.result(request, PONG)

    shell = ["bash", "-c", 'trap "" HUP; exec "$@"', "-", *command, "ping"]
    with (
        FakeDaemon(socket_path, script) as daemon,
        subprocess.Popen(shell, stdout=subprocess.PIPE) as process,
    ):
        daemon.seen.get(timeout=10)
        process.send_signal(signal.SIGHUP)
        daemon.go.set()
        assert process.wait(10) == 0


@pytest.mark.parametrize("args", [[], ["--no-stream"], ["--json"], ["--schema", "{}"]], ids=str)
def test_a_reader_that_leaves_before_the_first_word_ends_it(
    command: list[str], socket_path: Path, args: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.wait_until_cancelled(daemon.receive())

    with (
        FakeDaemon(socket_path, script) as daemon,
        subprocess.Popen(
            [*command, "generate", "-n", "hi", *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process,
    ):
        daemon.seen.get(timeout=10)
        assert process.stdout
        assert process.stderr
        process.stdout.close()
        assert process.wait(10) == BROKEN_PIPE
        assert process.stderr.read() == b""


@pytest.mark.parametrize(("text", "fields"), [("", {"reasoning": "hm"}), ("{", {})])
def test_a_reader_that_leaves_is_noticed_while_nothing_is_written(
    command: list[str], socket_path: Path, text: str, fields: dict[str, str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert daemon.go.wait(10)
        daemon.chunk(request, 0, text, **fields)
        daemon.wait_until_cancelled(request)

    with (
        FakeDaemon(socket_path, script) as daemon,
        subprocess.Popen(
            [*command, "generate", "-n", "hi", "--schema", "{}"], stdout=subprocess.PIPE
        ) as process,
    ):
        daemon.seen.get(timeout=10)
        assert process.stdout
        process.stdout.close()
        daemon.go.set()
        assert process.wait(10) == BROKEN_PIPE
