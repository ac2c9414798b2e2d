"""``models --watch``: the models, live on a terminal and as lines in a pipe."""

import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.ctl.test_events import send_event
from tests.support.event_daemon import EventDaemon
from tests.support.fake_daemon import FakeDaemon
from tests.support.lines import Lines
from tests.support.replies import SELECTION, SOURCE, STATUS, model, models
from tests.support.screens import screen_of

A, B = model("a", selected=True, loaded=True), model("b", loaded=False)
FIRST = models(A, B)
FAILURE = {"code": "upstream_unavailable", "message": "refused"}
DOWN = SOURCE | {"reachable": False, "stale": True, "error": FAILURE}
HEADER = "id\tname\towner\tkind\tstate\tcontext\tquantization\tselected\n"


def later(*entries: dict[str, Any], generation: int = 6, **fields: object) -> dict[str, Any]:
    return models(*entries, **{"generation": generation} | fields)


class Piped:
    """The command, its lines read as they come."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout
        assert process.stderr
        self._output, self.errors = process.stdout, Lines(process.stderr)

    def lines(self, count: int) -> list[str]:
        return [self._output.readline() for _ in range(count)]

    def leave(self) -> None:
        self._output.close()


@contextmanager
def piped(command: list[str], *args: str) -> Iterator[Piped]:
    with subprocess.Popen(
        [*command, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield Piped(process)
        finally:
            process.kill()


def test_piped_the_models_come_once_and_then_those_that_change(
    command: list[str], socket_path: Path
) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch") as reader,
    ):
        assert reader.lines(3) == [
            HEADER,
            "a\tA\t\tllm\tloaded\t\t\t*\n",
            "b\tB\t\tllm\tnot loaded\t\t\t\n",
        ]
        daemon.wait_for("subscribe")
        daemon.tell("models", later(A, B | {"loaded": True}))
        assert reader.lines(1) == ["b\tB\t\tllm\tloaded\t\t\t\n"]
        daemon.tell("models", later(B | {"loaded": True, "selected": True}, generation=7))
        assert reader.lines(2) == ["b\tB\t\tllm\tloaded\t\t\t*\n", "a\tA\t\tllm\tgone\t\t\t\n"]
        reader.process.send_signal(signal.SIGINT)
        assert reader.process.wait(10) == 130
        assert reader.errors.wait_end() == ""


def test_who_stands_in_and_what_the_upstream_does_is_told_beside(
    command: list[str], socket_path: Path
) -> None:
    stands_in = SELECTION | {"model": "local", "how": "fallback", "reason": "the engine answers"}
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch") as reader,
    ):
        reader.lines(3)
        daemon.wait_for("subscribe")
        daemon.tell("models", later(A | {"selected": False}, B, source=DOWN, selection=stands_in))
        reader.errors.wait_for("not reachable")
        reader.errors.wait_for("local would answer: the engine answers")


def test_with_json_each_line_is_a_list(command: list[str], socket_path: Path) -> None:
    second = later(A, new_field="x")
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch", "--json") as reader,
    ):
        first = reader.lines(1)
        daemon.wait_for("subscribe")
        daemon.tell("models", second)
        assert [json.loads(line) for line in first + reader.lines(1)] == [FIRST, second]


def test_conditions_are_left_to_the_daemon(command: list[str], socket_path: Path) -> None:
    with (
        EventDaemon(socket_path, {"list": models(A)}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch", "--loaded", "--kind", "llm", "--refresh") as reader,
    ):
        assert reader.lines(2)[1].startswith("a\t")
        daemon.wait_for("subscribe")
        daemon.results["list"] = later(A, model("c", loaded=True))
        daemon.tell("models", later(A, B, model("c", loaded=True)))
        assert reader.lines(1)[0].startswith("c\t")
        lists = [each for each in seen(daemon) if each["op"] == "list"]
    assert [each["refresh"] for each in lists] == [True, *[False] * (len(lists) - 1)]
    assert all(each["loaded"] and each["kind"] == "llm" for each in lists)


def seen(daemon: EventDaemon) -> list[dict[str, Any]]:
    return [daemon.seen.get() for _ in range(daemon.seen.qsize())]


def test_it_goes_on_with_the_next_daemon(command: list[str], socket_path: Path) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch") as reader,
    ):
        reader.lines(3)
        daemon.wait_for("subscribe")
        daemon.go_away()
        reader.errors.wait_for("waiting until it is back")
        daemon.snapshots["models"] = later(A)
        daemon.come_back()
        assert reader.lines(1) == ["b\tB\t\tllm\tgone\t\t\t\n"]
        reader.errors.wait_for("devsynthctl: the daemon is back")


def test_with_json_the_list_of_the_next_daemon_is_a_line(
    command: list[str], socket_path: Path
) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch", "--json") as reader,
    ):
        reader.lines(1)
        daemon.wait_for("subscribe")
        daemon.go_away()
        reader.errors.wait_for("connection_lost")
        # It counts its generations anew: this one is another list with the same number.
        daemon.snapshots["models"] = FIRST | {"models": [A]}
        daemon.come_back()
        assert json.loads(reader.lines(1)[0]) == FIRST | {"models": [A]}


def test_the_upstream_is_told_of_also_while_the_list_stays(
    command: list[str], socket_path: Path
) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        piped(command, "models", "--watch") as reader,
    ):
        reader.lines(3)
        daemon.wait_for("subscribe")
        daemon.tell("upstream", DOWN)
        reader.errors.wait_for("not reachable")
        daemon.tell("models", later(B | {"selected": True}))
        assert [line.split("\t")[0] for line in reader.lines(2)] == ["b", "a"]


def test_a_reader_that_leaves_ends_it(command: list[str], socket_path: Path) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}),
        piped(command, "models", "--watch") as reader,
    ):
        reader.lines(3)
        reader.leave()
        assert reader.process.wait(10) == 141


def refused_at_first(daemon: FakeDaemon) -> None:
    """Shut down, and be followed by a daemon that has `FIRST`."""
    daemon.refuse(daemon.receive())
    daemon.refuse(daemon.receive())
    daemon.hang_up()
    daemon.listen()
    request = daemon.receive()
    send_event(daemon, request, "models", FIRST, snapshot=True)
    send_event(daemon, request, "upstream", SOURCE, snapshot=True)
    daemon.wait_until_cancelled(request)


def test_a_daemon_that_shuts_down_at_the_beginning_is_waited_for(
    command: list[str], socket_path: Path
) -> None:
    with (
        FakeDaemon(socket_path, refused_at_first),
        piped(command, "models", "--watch") as reader,
    ):
        assert reader.lines(1) == [HEADER]
        assert [line.split("\t")[0] for line in reader.lines(2)] == ["a", "b"]
        reader.errors.wait_for("the daemon is shutting down; waiting until it is back")
        reader.errors.wait_for("the daemon is back")


def test_on_a_terminal_nothing_is_drawn_before_there_is_a_list(
    command: list[str], socket_path: Path
) -> None:
    with (
        FakeDaemon(socket_path, refused_at_first),
        screen_of([*command, "models", "--watch"]) as screen,
    ):
        screen.wait_for("not loaded")
        before, _ = screen.raw.split("\x1b[?1049h")
        assert before.rstrip().endswith("the daemon is shutting down; waiting until it is back")
        screen.press("q")
        assert screen.end() == 0


def test_without_a_daemon_it_fails_at_once(run: Run) -> None:
    process = run("models", "--watch")
    assert (process.returncode, process.stdout) == (3, "")


@pytest.mark.parametrize(
    "args",
    [["--timeout", "0.5", "models", "--watch"], ["models", "--watch", "--timeout", "0.5"]],
    ids=str,
)
def test_a_timeout_ends_it_and_is_no_error(run: Run, socket_path: Path, args: list[str]) -> None:
    with EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}):
        process = run(*args)
    assert (process.returncode, process.stdout.count("\n"), process.stderr) == (0, 3, "")


def test_ids_only_are_not_watched(run: Run) -> None:
    process = run("models", "--watch", "-q")
    assert (process.returncode, process.stdout) == (2, "")


@pytest.mark.parametrize(("key", "status"), [("q", 0), ("\x03", 130)])
def test_on_a_terminal_the_table_is_drawn_anew_in_place(
    command: list[str], socket_path: Path, key: str, status: int
) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        screen_of([*command, "models", "--watch"]) as screen,
    ):
        shown = screen.wait_for("not loaded")
        assert shown[0].startswith("lmstudio at http://localhost:1234, reachable")
        assert shown[1] == "model: qwen/small (auto: the first one that is loaded)"
        assert shown[3].split()[:2] == ["id", "name"]
        daemon.wait_for("subscribe")
        daemon.tell("models", later(A, model("later", loaded=None)))
        shown = screen.wait_for("later")
        assert not any("not loaded" in line for line in shown)
        assert screen.wrapped == 0
        screen.press(key)
        assert screen.end() == status
        assert screen.is_given_back


def test_more_models_than_lines_are_counted(command: list[str], socket_path: Path) -> None:
    many = models(*(model(f"model-{number}") for number in range(40)))
    with (
        EventDaemon(socket_path, {"list": many}, {"models": many}),
        screen_of([*command, "models", "--watch"]) as screen,
    ):
        shown = screen.wait_for("q: leave")
        assert shown[-1] == "q: leave"
        assert shown[-3] == "and 23 more: devsynthctl models"
        screen.resize(50, 80)
        assert not any("more:" in line for line in screen.wait_for("model-39"))


def test_the_age_of_the_list_and_its_source_are_those_of_the_moment(
    command: list[str], socket_path: Path
) -> None:
    with (
        EventDaemon(socket_path, {"list": FIRST}, {"models": FIRST}) as daemon,
        screen_of([*command, "models", "--watch"]) as screen,
    ):
        screen.wait_for("list 2 s old")
        # The same list, but nothing happens that an event would tell.
        daemon.results["status"] = STATUS | {"source": SOURCE | {"age_s": 9.0}}
        screen.wait_for("reachable, list 9 s old")
        daemon.results["status"] = STATUS | {"source": DOWN}
        daemon.tell("upstream", DOWN)
        screen.wait_for("not reachable, list stale")


def test_a_small_terminal_shows_at_least_one_model(command: list[str], socket_path: Path) -> None:
    many = models(*(model(f"owner/model-{number}-of-many") for number in range(40)))
    with (
        EventDaemon(socket_path, {"list": many}, {"models": many}),
        screen_of([*command, "models", "--watch"]) as screen,
    ):
        screen.wait_for("q: leave")
        screen.resize(4, 12)
        shown = screen.wait_for("and 3")
        assert shown[1].split() == ["id"]
        assert shown[2] == "  owne…many"
        assert shown[3] == "and 39 more…"
