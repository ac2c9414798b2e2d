"""``top``: the daemon at work, on a terminal of 80 columns and 24 lines, and in a pipe."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.support.event_daemon import EventDaemon
from tests.support.lines import Lines
from tests.support.person import at_terminal
from tests.support.replies import SELECTION, SOURCE, STATUS, model, models
from tests.support.screens import screen_of

LONG = "some-owner/a-model-with-a-name-that-is-far-longer-than-any-terminal-is-wide-Q4_K_M.gguf"
TIMING = {
    "queued_s": 0.5,
    "waiting_s": 0.5,
    "streaming_s": 2,
    "total_s": 3.0,
    "tokens_per_s": 31.25,
}
(WAITS,) = STATUS["requests"]
RUNS = WAITS | {
    "request": 5,
    "state": "streaming",
    "position": None,
    "model": LONG,
    "timing": TIMING,
}
FAILURE = {"code": "upstream_timeout", "message": "it went silent\x1b[2J"}
FAILED = RUNS | {"request": 4, "state": "failed", "error": FAILURE}
WATCHES = WAITS | {"request": 6, "op": "subscribe", "state": "streaming"}
LISTED = models(model("a"), model("b", loaded=True), model("c", loaded=True))
DOWN = SOURCE | {
    "reachable": False,
    "stale": True,
    "fetched_at": None,
    "age_s": None,
    "error": {"code": "upstream_unavailable", "message": "refused"},
}


def busy(**changes: object) -> dict[str, Any]:
    return STATUS | {"requests": [RUNS, WAITS, WATCHES]} | changes


def daemon_at(path: Path, **status: object) -> EventDaemon:
    return EventDaemon(path, {"status": busy(**status)}, {"models": LISTED})


def test_it_shows_how_all_of_it_is(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path), screen_of([*command, "top"]) as screen:
        shown = screen.wait_for("b, c")
        assert shown[0].startswith("devsynthd 9.8.7, pid 4321, up 1 h 2 min, 31 MB")
        assert shown[1] == "upstream  lmstudio at http://localhost:1234, reachable, list 2 s old"
        assert shown[2] == "model     qwen/small (auto: the first one that is loaded)"
        assert shown[3] == "loaded    b, c"
        assert shown[4] == "queue     1 running (at most 4), 2 waiting"
        header, runs, waits, *rest = shown[6:]
        assert header.split() == ["request", "model", "state", "position", "seconds", "tokens/s"]
        assert runs.split()[2:] == ["streaming", "3.0", "31.2"]
        shown_id = runs.split()[1]
        assert shown_id.startswith("some-owner/a")
        assert shown_id.endswith("Q4_K_M.gguf")
        assert waits.split() == ["7", "qwen/small", "queued", "2"]
        assert rest == [""] * 14 + ["q: leave"]
        assert screen.wrapped == 0


def test_speeds_are_asked_for_though_nothing_happens(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path) as daemon, screen_of([*command, "top"]) as screen:
        screen.wait_for("31.2")
        daemon.results["status"] = busy(
            requests=[RUNS | {"timing": TIMING | {"tokens_per_s": 29.5}}]
        )
        screen.wait_for("29.5")


def test_what_fails_stays_for_a_while(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path) as daemon, screen_of([*command, "top"]) as screen:
        screen.wait_for("b, c")
        daemon.tell("requests", {"requests": [FAILED]})
        shown = screen.wait_for("upstream_timeout")
        assert "last errors" in shown
        daemon.tell("upstream", DOWN)
        shown = screen.wait_for("upstream: upstream_unavailable: refused")
        newest = shown.index("last errors") + 1
        assert "refused" in shown[newest]
        assert "#4 generate" in shown[newest + 1]
        daemon.results["status"] = busy(source=DOWN)
        daemon.tell("requests", {"requests": []})
        shown = screen.wait_for("not reachable")
        assert shown[2].strip() == "upstream_unavailable: refused"
        assert screen.wrapped == 0
    assert "\x1b[2J" not in screen.raw


def test_what_fails_is_told_in_two_lines_where_there_is_room(
    command: list[str], socket_path: Path
) -> None:
    message = "LM Studio answered 500: the model has crashed since it had no memory left"
    failed = FAILED | {"error": {"code": "upstream_error", "message": message}}
    with daemon_at(socket_path) as daemon, screen_of([*command, "top"]) as screen:
        screen.wait_for("b, c")
        daemon.tell("requests", {"requests": [failed]})
        shown = screen.wait_for("last errors")
        first, second = shown[shown.index("last errors") + 1 :][:2]
        assert " #4 generate some-own" in first
        assert second.startswith("          ")
        assert " ".join(f"{first} {second}".split()).endswith(f": upstream_error: {message}")


def test_it_goes_on_with_the_next_daemon(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path) as daemon, screen_of([*command, "top"]) as screen:
        screen.wait_for("b, c")
        daemon.go_away()
        shown = screen.wait_for("no daemon: ")
        assert not any("streaming" in line for line in shown)
        daemon.results["status"] = busy(version="9.9.9")
        daemon.come_back()
        assert "9.9.9" in screen.wait_for("devsynthd 9.9.9")[0]


def test_another_size_is_another_screen(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path), screen_of([*command, "top"]) as screen:
        screen.wait_for("b, c")
        screen.resize(10, 120)
        shown = screen.wait_for("tokens/s")
        assert "client" in shown[6]
        assert shown[9] == "q: leave"
        screen.resize(24, 40)
        screen.wait_for("some")
        assert screen.wrapped == 0


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("Q", 0), ("\x03", 130)])
def test_a_key_leaves_and_gives_the_terminal_back(
    command: list[str], socket_path: Path, key: str, status: int
) -> None:
    with daemon_at(socket_path), screen_of([*command, "top"]) as screen:
        screen.wait_for("b, c")
        assert not screen.is_given_back
        screen.press("x")
        screen.press(key)
        assert screen.end() == status
        assert screen.is_given_back
    assert "Traceback" not in screen.raw


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_gives_the_terminal_back(
    command: list[str], socket_path: Path, number: signal.Signals
) -> None:
    with daemon_at(socket_path), screen_of([*command, "top"]) as screen:
        screen.wait_for("b, c")
        screen.send_signal(number)
        assert screen.end() == 128 + number
        assert screen.is_given_back
    assert "Traceback" not in screen.raw


def test_it_can_be_stopped_and_gone_on_with(command: list[str], socket_path: Path) -> None:
    shell = ["bash", "--norc", "-ic", '"$@"; echo stopped; read -n 1; fg; echo over', "-", *command]
    with daemon_at(socket_path), screen_of([*shell, "top"]) as screen:
        screen.wait_for("b, c")
        screen.press("\x1a")
        screen.wait_for("stopped")
        screen.press("x")
        screen.wait_for("b, c")
        screen.press("q")
        screen.wait_for("over")


def test_what_ends_it_for_good_is_told_on_the_terminal(
    command: list[str], socket_path: Path
) -> None:
    with (
        daemon_at(socket_path) as daemon,
        screen_of([*command, "top"]) as screen,
    ):
        screen.wait_for("b, c")
        daemon.end_subscriptions("forbidden")
        assert screen.end() == 7
        assert screen.is_given_back
    assert "it is forbidden" in screen.raw


def test_without_a_daemon_it_fails_without_a_screen(command: list[str]) -> None:
    with screen_of([*command, "top"]) as screen:
        assert screen.end() == 3
        assert screen.is_given_back
    assert "\x1b[?1049h" not in screen.raw
    assert "nobody listens" in screen.raw or "devsynthd" in screen.raw


def test_colours_are_left_out_when_asked(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path), screen_of([*command, "--no-color", "top"]) as screen:
        screen.wait_for("b, c")
        screen.press("q")
        screen.end()
    assert "\x1b[3" not in screen.raw
    assert "\x1b[1;3" not in screen.raw


def test_a_dumb_terminal_gets_lines(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path), at_terminal(["env", "TERM=dumb", *command, "top"]) as child:
        child.expect_exact("upstream: lmstudio at")
        child.sendintr()
        assert "\x1b" not in child.read()


# In a pipe ---------------------------------------------------------------------------------


class Piped:
    """The command, its lines read as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout
        assert process.stderr
        self.output, self.errors = Lines(process.stdout), Lines(process.stderr)


@contextmanager
def piped(command: list[str], *args: str) -> Iterator[Piped]:
    with subprocess.Popen(
        [*command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        reader = Piped(process)
        try:
            yield reader
        finally:
            process.kill()
            reader.output.wait_end()


def test_piped_it_tells_what_has_happened(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path) as daemon, piped(command, "top") as reader:
        first = reader.output.wait_for("upstream: ")
        assert first.split(" ", 1)[1].startswith("upstream: lmstudio at http://localhost:1234")
        reader.output.wait_for("model: qwen/small (auto: the first one that is loaded)")
        reader.output.wait_for("loaded: b, c")
        daemon.tell("requests", {"requests": [RUNS]})
        daemon.tell("requests", {"requests": [RUNS | {"state": "done"}]})
        done = reader.output.wait_for("#5")
        assert done.endswith(f" #5 generate {LONG}: done in 3.0 s, 31.2 tokens/s\n")
        daemon.tell("requests", {"requests": [FAILED]})
        failed = reader.output.wait_for("#4")
        assert "failed after 3.0 s" in failed
        assert "upstream_timeout: it went silent␛[2J" in failed
        daemon.tell("upstream", DOWN)
        reader.output.wait_for("not reachable")
        stand_in = SELECTION | {"model": "local", "how": "fallback", "reason": "it stands in"}
        daemon.tell("models", LISTED | {"selection": stand_in})
        reader.output.wait_for("model: local (fallback: it stands in)")
        daemon.go_away()
        reader.errors.wait_for("waiting until it is back")
        daemon.come_back()
        reader.errors.wait_for("devsynthctl: the daemon is back")


def test_piped_it_tells_of_the_next_daemon_how_all_of_it_is(
    command: list[str], socket_path: Path
) -> None:
    with daemon_at(socket_path) as daemon, piped(command, "top") as reader:
        reader.output.wait_for("loaded: b, c")
        daemon.wait_for("subscribe")
        daemon.go_away()
        reader.errors.wait_for("waiting until it is back")
        daemon.snapshots["models"] = models(model("b", loaded=True), model("d", loaded=True))
        daemon.snapshots["upstream"] = SOURCE | {"age_s": 7.0}
        daemon.come_back()
        reader.output.wait_for("loaded: b, d")
        reader.output.wait_for("list 7 s old")
        told = reader.output.text()
        assert told.count("model: qwen/small") == told.count("upstream: lmstudio") == 2


def test_piped_it_does_not_tell_of_those_who_watch(command: list[str], socket_path: Path) -> None:
    ended = WATCHES | {"state": "failed", "error": FAILURE}
    with daemon_at(socket_path) as daemon, piped(command, "top") as reader:
        reader.output.wait_for("loaded: b, c")
        daemon.tell("requests", {"requests": [ended]})
        daemon.tell("requests", {"requests": [FAILED]})
        reader.output.wait_for("#4")
        assert "subscribe" not in reader.output.text()


def test_as_json_it_writes_status_a_line(command: list[str], socket_path: Path) -> None:
    with daemon_at(socket_path) as daemon, piped(command, "top", "--json") as reader:
        assert json.loads(reader.output.wait_for("{")) == busy()
        daemon.results["status"] = busy(new_field="yes")
        daemon.tell("requests", {"requests": []})
        assert json.loads(reader.output.wait_for("new_field")) == busy(new_field="yes")
        reader.process.send_signal(signal.SIGINT)
        assert reader.process.wait(10) == 130


@pytest.mark.parametrize("args", [[], ["--json"]], ids=str)
def test_a_reader_that_leaves_ends_it(
    command: list[str], socket_path: Path, args: list[str]
) -> None:
    with (
        daemon_at(socket_path),
        subprocess.Popen([*command, "top", *args], stdout=subprocess.PIPE) as process,
    ):
        assert process.stdout
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(10) == 141


@pytest.mark.parametrize(
    "args",
    [
        ["--timeout", "0.5", "top"],
        ["top", "--timeout", "0.5"],
        ["top", "--json", "--timeout", ".5"],
    ],
    ids=str,
)
def test_a_timeout_ends_it_and_is_no_error(run: Run, socket_path: Path, args: list[str]) -> None:
    with daemon_at(socket_path):
        process = run(*args)
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout


def test_piped_it_imports_nothing_that_draws(command: list[str], socket_path: Path) -> None:
    program = (
        "import sys\n"
        "from devsynthctl.cli import run\n"
        "status = run(sys.argv[1:])\n"
        "assert not {'rich', 'asyncio', 'termios'} & set(sys.modules), 'slow'\n"
        "sys.exit(status)\n"
    )
    with daemon_at(socket_path):
        subprocess.run(
            [command[0], "-c", program, *command[3:], "--timeout", "0.2", "top"],
            check=True,
            capture_output=True,
            timeout=15,
        )
