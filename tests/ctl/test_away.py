"""What a person is told while a request waits for the next daemon."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.person import at_terminal
from tests.support.replies import STATUS, model, models

NOTE = "devsynthctl: the daemon is shutting down: waiting for the next one\n"


def ending(path: Path) -> Script:
    """Be a daemon at *path* that shuts down, and ends when it has refused one request."""

    def script(daemon: FakeDaemon) -> None:
        while (request := daemon.receive())["op"] == "status":
            daemon.result(request, STATUS)
        daemon.refuse(request)
        daemon.hang_up()
        path.unlink(missing_ok=True)

    return script


@pytest.mark.parametrize(
    "args",
    [["models"], ["config", "get", "llm_model"], ["config", "set", "llm_model", "a"]],
    ids=" ".join,
)
def test_a_daemon_that_shuts_down_is_told_of_and_that_no_other_came(
    run: Run, socket_path: Path, args: list[str]
) -> None:
    with FakeDaemon(socket_path, ending(socket_path)):
        process = run("--timeout", "1.5", *args)

    note, failed, hint = process.stderr.splitlines(keepends=True)
    assert (process.returncode, process.stdout, note) == (3, "", NOTE)
    assert failed.startswith(
        "devsynthctl: the daemon has shut down, and none came back within 1.5 s: "
    )
    assert "there is no socket at" in failed
    assert hint.startswith("hint: start the daemon: ")


def test_as_json_only_the_error_is_told(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, ending(socket_path)):
        process = run("--timeout", "1.5", "models", "--json")

    error = json.loads(process.stderr)["error"]
    assert (process.returncode, error["code"]) == (3, "daemon_unreachable")


def test_the_next_daemon_is_waited_for_in_silence_if_it_comes_soon(
    run: Run, socket_path: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.refuse(daemon.receive())
        daemon.result(daemon.receive(), models(model("a")))

    with FakeDaemon(socket_path, script):
        process = run("models", "-q")

    assert (process.returncode, process.stderr) == (0, "")


def test_a_reader_that_leaves_ends_the_wait(command: list[str], socket_path: Path) -> None:
    with (
        FakeDaemon(socket_path, FakeDaemon.refuse_all) as daemon,
        subprocess.Popen([*command, "models"], stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout
        daemon.seen.get(timeout=10)
        process.stdout.close()
        assert process.wait(5) == 141


def test_on_a_terminal_it_is_told_in_a_line_of_its_own(
    command: list[str], socket_path: Path
) -> None:
    with (
        FakeDaemon(socket_path, FakeDaemon.refuse_all),
        at_terminal([*command, "generate", "hi"]) as child,
    ):
        child.expect_exact("\r\x1b[K" + NOTE.rstrip())
