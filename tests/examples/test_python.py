"""The scripts in Python."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

import pytest

from tests.examples.conftest import EXAMPLES
from tests.lmstudio import LMStudio
from tests.support.daemon import DaemonProcess
from tests.support.lines import Lines
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import status, tokens
from tests.support.upstream_server import UpstreamServer


@contextlib.contextmanager
def started(environ: Mapping[str, str], script: str, *words: str) -> Iterator["Script"]:
    """Start a script; it has ended after the block."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / "python" / script, *words],
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Script(process)
        finally:
            process.kill()


class Script:
    """A script that runs."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.lines = Lines(cast("IO[str]", process.stdout))

    def end(self) -> tuple[int, str, str]:
        """Return its exit status and what it wrote, once it has ended."""
        out = self.lines.wait_end()
        err = cast("IO[str]", self.process.stderr).read()
        return self.process.wait(10), out, err


def run(environ: Mapping[str, str], script: str, *words: str) -> tuple[int, str, str]:
    """Run a script to its end and return its exit status and what it wrote."""
    with started(environ, script, *words) as running:
        return running.end()


def test_models_are_listed(studio_daemon: DaemonProcess, lmstudio: LMStudio) -> None:
    lmstudio.load("google/gemma-3-4b")
    studio_daemon.ctl("models", "--refresh")

    outcome = run(studio_daemon.environ, "ask.py")

    assert outcome == (0, "  qwen/qwen3-4b\n* google/gemma-3-4b (loaded)\n", "")


def test_an_answer_comes_as_it_is_made(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    gate = Gate()
    upstream.script.append(tokens("first\n", "second", gate=gate))

    with started(daemon.environ, "ask.py", "say", "something") as script:
        gate.step()
        script.lines.wait_for("first")
        gate.step(2)
        returncode, out, err = script.end()

    assert (returncode, out) == (0, "first\nsecond\n")
    assert err.startswith("m, ")


def test_without_a_daemon_the_hint_is_told(short_dir: Path) -> None:
    environ = {"DEVSYNTH_SOCKET": str(short_dir / "nobody.sock")}

    returncode, out, err = run(environ, "ask.py")

    assert (returncode, out) == (3, "")
    assert err.startswith("daemon_unreachable: ")
    assert "devsynthd" in err


@pytest.mark.parametrize(
    "words", [("watch.py",), ("watch.py", "models"), ("cancel.py",), ("many.py", "why?", __file__)]
)
def test_without_a_daemon_they_end_as_devsynthctl_does(
    short_dir: Path, words: tuple[str, ...]
) -> None:
    environ = {"DEVSYNTH_SOCKET": str(short_dir / "nobody.sock")}

    returncode, out, err = run(environ, *words)

    assert (returncode, out, err.partition(":")[0]) == (3, "", "daemon_unreachable")


@pytest.mark.parametrize("script", ["ask.py", "cancel.py", "many.py", "watch.py"])
def test_they_print_their_usage(script: str) -> None:
    returncode, out, err = run({}, script, "--help")

    assert (returncode, err) == (0, "")
    assert out.startswith(f"usage: {script}")


def test_a_reader_who_leaves_stops_the_model(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("once", "upon", "a", gate=gate))

    with subprocess.Popen(
        [sys.executable, "-W", "error", EXAMPLES / "python" / "ask.py", "story"],
        env=daemon.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        gate.step()
        stdout, stderr = (cast("IO[bytes]", pipe) for pipe in (process.stdout, process.stderr))
        assert stdout.read(4) == b"once"
        stdout.close()
        gate.step()
        assert (process.wait(10), stderr.read()) == (141, b"")
    upstream.wait_disconnected()


def test_an_answer_is_stopped_in_each_way(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    first, second, third = Gate(), Gate(), Gate()
    upstream.script.append(tokens("once\n", "upon", "!", gate=first))
    upstream.script.append(tokens("a", "time", gate=second))
    upstream.script.append(tokens("there", "was", gate=third))

    with started(daemon.environ, "cancel.py", "story") as script:
        first.step(2)
        upstream.wait_disconnected(1)
        second.step()
        script.lines.wait_for("press Enter")  # 5 s later
        third.step()
        stdin = cast("IO[str]", script.process.stdin)
        stdin.write("\n")
        stdin.flush()
        returncode, out, err = script.end()

    for number in (2, 3):
        upstream.wait_disconnected(number)
    assert (returncode, err) == (0, "")
    first_line, so_far, _, until = out.splitlines()
    assert (first_line, so_far) == ("its first line: once", "within 5 s: a")
    assert until in {"until then: ", "until then: there"}  # Enter may have come before the word


def test_events_are_told(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    with started(daemon.environ, "watch.py") as script:
        script.lines.wait_for("1 models, m answers")
        script.lines.wait_for(f"{upstream.url} is there")
        script.lines.wait_for("settings: valid")
        daemon.ctl("config", "set", "llm_max_tokens", "7")
        script.lines.wait_for("settings: llm_max_tokens")
        script.process.send_signal(signal.SIGINT)
        assert script.end()[::2] == (130, "")


def test_the_list_is_told_when_it_has_changed(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    with started(daemon.environ, "watch.py", "models") as script:
        script.lines.wait_for("m\n")
        upstream.models_reply = status(200, {"data": [{"id": "m"}, {"id": "other"}]})
        daemon.ctl("models", "--refresh")
        script.lines.wait_for("m other")
        script.process.send_signal(signal.SIGINT)
        assert script.end() == (130, "m\nm other\n", "")


def test_a_daemon_that_goes_away_is_noticed(daemon: DaemonProcess) -> None:
    with started(daemon.environ, "watch.py") as script:
        script.lines.wait_for("models")
        daemon.signal(signal.SIGKILL)
        returncode, _, err = script.end()

    assert (returncode, err.partition(":")[0]) == (3, "connection_lost")


def test_many_files_are_asked_about_at_once(
    daemon: DaemonProcess, upstream: UpstreamServer, tmp_path: Path
) -> None:
    gate = Gate()
    upstream.script.extend(tokens("It", " works.", gate=gate) for _ in range(4))
    files = [tmp_path / f"{number}.txt" for number in range(4)]
    for file in files:
        file.write_text(f"text of {file.name}")
    words = ("What is it?", *map(str, files), str(tmp_path / "missing"))

    with started(daemon.environ, "many.py", *words) as script:
        for number in range(1, 5):  # all four are at the server before any is answered
            upstream.wait_generation(number)
        gate.step(12)
        returncode, out, err = script.end()

    assert sorted(out.splitlines()) == [f"{file}: It works." for file in files]
    assert returncode == 1
    assert "missing" in err
    prompts = {each.body["messages"][0]["content"] for each in upstream.generations}
    assert "What is it?\n\n2.txt:\ntext of 2.txt" in prompts


def test_ctrl_c_stops_all_of_them(
    daemon: DaemonProcess, upstream: UpstreamServer, tmp_path: Path
) -> None:
    upstream.script.extend(tokens("x", gate=Gate()) for _ in range(2))
    file = tmp_path / "file"
    file.write_text("text")

    with started(daemon.environ, "many.py", "What?", str(file), str(file)) as script:
        upstream.wait_generation(2)
        script.process.send_signal(signal.SIGINT)
        assert script.end() == (130, "", "")
    for number in (1, 2):
        upstream.wait_disconnected(number)
