"""What is drawn at a terminal while an answer has not begun."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest

from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of
from tests.support.replies import completion

WIPED = "\x1b[2K"
"""What erases the line of a spinner."""
CURSOR_SHOWN = "\x1b[?25h"
"""What ends a drawing: the cursor is hidden as long as one lasts."""
SPINNER = r"[\u2801-\u28ff]"


@contextmanager
def asked(command: list[str], output: Path, *options: str) -> Iterator["pexpect.spawn[str]"]:
    """Ask at a terminal, with stdout in the file *output*: the terminal has stderr only."""
    to_file = ["bash", "-c", f'"$@" >{output}', "-", *command, "--no-color", "generate", "hi"]
    with at_terminal([*to_file, *options]) as child:
        yield child


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_what_is_waited_for_is_drawn_and_wiped_off_before_the_answer(
    command: list[str], socket_path: Path, tmp_path: Path, option: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["progress"] is True
        daemon.progress(request, "queued", position=3)
        for state in ("loading", "waiting"):
            assert daemon.go.wait(10)
            daemon.go.clear()
            daemon.progress(request, state)
        assert daemon.go.wait(10)
        if request["stream"]:
            daemon.chunk(request, 0, "Yes.")
        daemon.result(request, completion("Yes."))

    output = tmp_path / "output"
    with (
        FakeDaemon(socket_path, script) as daemon,
        asked(command, output, "-m", "q/m", *option) as child,
    ):
        child.expect(f"queued: 3 before this one {SPINNER}")
        daemon.go.set()
        child.expect(f"loading q/m {SPINNER}")
        daemon.go.set()
        child.expect(f"waiting for the first token {SPINNER}")
        child.expect(f"waiting for the first token {SPINNER} +1 s")
        daemon.go.set()
        rest = rest_of(child)
        assert child.exitstatus == 0
    assert rest.endswith(WIPED)
    assert output.read_text() == "Yes.\n"


def test_the_line_is_gone_when_the_first_text_comes(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        part = {"index": 0, "id": "a", "function": {"name": "now"}}
        chunks: list[tuple[str, dict[str, Any]]] = [
            ("", {"reasoning": "hm"}),
            ("", {"tool_calls": [part]}),
            ("Yes", {}),
        ]
        for seq, (text, fields) in enumerate(chunks):
            assert daemon.go.wait(10)
            daemon.go.clear()
            daemon.chunk(request, seq, text, **fields)
        assert daemon.go.wait(10)
        daemon.result(request, completion("Yes"))

    with (
        FakeDaemon(socket_path, script) as daemon,
        asked(command, tmp_path / "output") as child,
    ):
        child.expect(f"waiting for an answer {SPINNER}")
        daemon.go.set()
        child.expect(f"thinking {SPINNER}")
        daemon.go.set()
        child.expect(f"calling a tool {SPINNER}")
        daemon.go.set()
        child.expect_exact(CURSOR_SHOWN)
        daemon.go.set()
        assert "a tool" not in rest_of(child)
        assert child.exitstatus == 0


def test_an_answer_that_is_held_back_is_told(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.chunk(request, 0, "{")
        assert daemon.go.wait(10)
        daemon.chunk(request, 1, "}")
        daemon.result(request, completion("{}"))

    output = tmp_path / "output"
    with (
        FakeDaemon(socket_path, script) as daemon,
        asked(command, output, "--schema", "{}") as child,
    ):
        child.expect(f"answering {SPINNER}")
        assert output.read_text() == ""
        daemon.go.set()
        assert rest_of(child).endswith(WIPED)
        assert child.exitstatus == 0
    assert output.read_text() == "{}\n"


def test_for_a_fast_answer_nothing_is_drawn(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "waiting")
        daemon.result(request, completion("Yes."))

    with FakeDaemon(socket_path, script), asked(command, tmp_path / "output") as child:
        assert rest_of(child) == ""
        assert child.exitstatus == 0


@pytest.mark.parametrize("option", [[], ["--no-stream"]])
def test_ctrl_c_wipes_it_off_and_cancels(
    command: list[str], socket_path: Path, option: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        daemon.progress(request, "queued", position=1)
        daemon.wait_until_cancelled(request)

    with (
        FakeDaemon(socket_path, script),
        at_terminal([*command, "--no-color", "generate", "hi", *option]) as child,
    ):
        child.expect("queued: 1 before this one")
        child.sendintr()
        rest = rest_of(child)
        assert child.exitstatus == 130
    assert rest.endswith(WIPED)
    assert "Traceback" not in rest


def test_an_error_is_told_on_a_line_of_its_own(command: list[str], socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert daemon.go.wait(10)
        daemon.error(request, "incomplete", details={"text": "half an"})

    with (
        FakeDaemon(socket_path, script) as daemon,
        at_terminal([*command, "--no-color", "generate", "hi", "--no-stream"]) as child,
    ):
        child.expect("waiting for an answer")
        daemon.go.set()
        rest = rest_of(child)
    assert rest.rpartition(WIPED)[2] == "half an\ndevsynthctl: it is incomplete\n"


@pytest.mark.parametrize("args", [["generate", "hi", "--json"], ["generate", "hi", "--no-stream"]])
def test_nobody_looks_so_no_progress_is_asked_for(
    command: list[str], socket_path: Path, args: list[str]
) -> None:
    def script(daemon: FakeDaemon) -> None:
        request = daemon.receive()
        assert request["progress"] is False
        daemon.result(request, completion("Yes."))

    with FakeDaemon(socket_path, script):
        if "--json" in args:
            with at_terminal([*command, *args]) as child:
                assert rest_of(child).startswith("{")
        else:
            process = subprocess.run(
                [*command, *args, "-n"], capture_output=True, text=True, check=True, timeout=15
            )
            assert (process.stdout, process.stderr) == ("Yes.\n", "")
