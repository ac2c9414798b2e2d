"""``ps`` and ``cancel``: what the daemon works on, and an end to it."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.replies import STATUS

TIMING = {"queued_s": 1, "waiting_s": 1, "streaming_s": 0.5, "total_s": 2.5, "tokens_per_s": None}
(WAITS,) = STATUS["requests"]
RUNS = WAITS | {"request": 5, "state": "streaming", "position": None, "timing": TIMING}
LOADS = WAITS | {"request": 6, "op": "load", "state": "loading", "client": None, "pid": None}
EMBEDS = WAITS | {"request": 8, "op": "embed", "state": "waiting", "model": "\x1b[2Jevil\t"}
CANCELS = WAITS | {"request": 9, "op": "cancel", "new_field": 1}


def status(*requests: dict[str, Any]) -> dict[str, Any]:
    return STATUS | {"requests": list(requests)}


def working_on(*requests: dict[str, Any], cancelled: bool = True) -> Script:
    results = {"status": status(*requests), "cancel": {"cancelled": cancelled}}
    return lambda daemon: daemon.serve(results)


def cancelled_numbers(daemon: FakeDaemon) -> list[int]:
    """Return what was cancelled so far, in this order."""
    seen = [daemon.seen.get() for _ in range(daemon.seen.qsize())]
    return [each["request"] for each in seen if each["op"] == "cancel"]


def test_requests_are_tab_separated_when_piped(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, working_on(RUNS, LOADS, WAITS, EMBEDS, CANCELS)):
        process = run("ps")
    assert (process.returncode, process.stderr) == (0, "")
    assert process.stdout == (
        "request\top\tstate\tposition\tmodel\tseconds\tclient\tpid\n"
        "5\tgenerate\tstreaming\t\tqwen/small\t2.5\teditor/1\t99\n"
        "6\tload\tloading\t2\tqwen/small\t\t\t\n"
        "7\tgenerate\tqueued\t2\tqwen/small\t\teditor/1\t99\n"
        "8\tembed\twaiting\t2\t␛[2Jevil \t\teditor/1\t99\n"
    )


def test_as_json_requests_are_what_the_daemon_told(run: Run, socket_path: Path) -> None:
    told = [RUNS | {"new_field": [1]}, WAITS]
    with FakeDaemon(socket_path, working_on(*told, CANCELS)):
        process = run("ps", "--json")
    assert (json.loads(process.stdout), process.stderr) == ({"requests": told}, "")


def test_that_nothing_runs_is_told(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, working_on(CANCELS)):
        process = run("ps")
        as_json = run("ps", "--json")
    assert process.stdout.splitlines()[1:] == []
    assert process.stderr == "devsynthctl: nothing runs\n"
    assert (json.loads(as_json.stdout), as_json.stderr) == ({"requests": []}, "")


def test_cancel_ends_the_request_of_that_number(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, working_on(RUNS, LOADS, WAITS)) as daemon:
        process = run("cancel", "6")
        as_json = run("cancel", "7", "--json")
        assert cancelled_numbers(daemon) == [6, 7]
    assert (process.stdout, process.stderr) == ("cancelled 6 (load, qwen/small)\n", "")
    assert (json.loads(as_json.stdout), as_json.stderr) == ({"cancelled": True}, "")
    assert (process.returncode, as_json.returncode) == (0, 0)


@pytest.mark.parametrize(
    ("number", "script"),
    [
        ("3", working_on(RUNS)),
        ("9", working_on(RUNS, CANCELS)),
        ("5", working_on(RUNS, cancelled=False)),  # it ended in between
    ],
)
def test_a_number_that_is_not_there_is_1(
    run: Run, socket_path: Path, number: str, script: Script
) -> None:
    with FakeDaemon(socket_path, script):
        process = run("cancel", number)
        as_json = run("cancel", number, "--json")
    assert (process.stdout, process.returncode) == ("", 1)
    told = f"devsynthctl: there is no request {number}: devsynthctl ps lists them\n"
    assert process.stderr == told
    assert (json.loads(as_json.stdout), as_json.returncode) == ({"cancelled": False}, 1)


def test_cancel_all_ends_generations_and_embeddings_those_that_wait_first(
    run: Run, socket_path: Path
) -> None:
    with FakeDaemon(socket_path, working_on(RUNS, LOADS, WAITS, EMBEDS, CANCELS)) as daemon:
        process = run("cancel", "--all")
        assert cancelled_numbers(daemon) == [7, 5, 8]
        as_json = run("cancel", "--all", "--json")
    assert process.stdout == (
        "cancelled 7 (generate, qwen/small)\n"
        "cancelled 5 (generate, qwen/small)\n"
        "cancelled 8 (embed, ␛[2Jevil )\n"
    )
    assert (process.returncode, process.stderr) == (0, "")
    assert json.loads(as_json.stdout) == {"cancelled": [7, 5, 8]}


def test_cancel_all_of_nothing_is_done(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, working_on(LOADS)):
        process = run("cancel", "--all")
        as_json = run("cancel", "--all", "--json")
    assert (process.stdout, process.returncode) == ("", 0)
    assert process.stderr == "devsynthctl: nothing runs\n"
    assert (json.loads(as_json.stdout), as_json.returncode) == ({"cancelled": []}, 0)


@pytest.mark.parametrize("args", [[], ["7", "--all"], ["seven"], ["-1"], ["99999999999999999999"]])
def test_what_names_no_request_is_wrong_usage(run: Run, args: list[str]) -> None:
    process = run("cancel", *args)
    assert (process.returncode, process.stdout) == (2, "")


def test_a_status_of_another_form_is_told(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, working_on({"request": "x"})):
        process = run("ps")
    assert (process.returncode, process.stdout) == (1, "")
    assert "not in the protocol" in process.stderr
