"""``models --watch``, ``top`` and ``events`` on a daemon that drains, or is stopped."""

import json
import signal
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO, cast

from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, daemon_process
from tests.support.lines import Lines
from tests.support.upstream_replies import silence
from tests.support.upstream_server import UpstreamServer

WATCHERS = [["events"], ["models", "--watch"], ["top"], ["top", "--json"]]
FOR_S = 3.0
BEYOND_S = 3.0  # for its start and its end, on a machine that is busy; it is given up after 10 s
NO_ANSWER = 6


def errors_of(process: "subprocess.Popen[str]") -> Lines:
    return Lines(cast("IO[str]", process.stderr))


def drain(
    daemon: DaemonProcess, upstream: UpstreamServer, stack: ExitStack
) -> "subprocess.Popen[str]":
    """Have *daemon* shut down as soon as the generation has ended that is returned."""
    upstream.script.append(silence())
    generation = stack.enter_context(daemon.start_ctl("generate", "hi"))
    upstream.wait_generation()
    assert daemon.ctl("shutdown", "--grace", "60").returncode == 0
    return generation


def test_a_daemon_that_drains_and_ends_is_waited_for_until_the_time_is_over(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    with ExitStack() as stack:
        generation = drain(daemon, upstream, stack)
        started_at = time.monotonic()
        watchers = [
            stack.enter_context(daemon.start_ctl("--timeout", f"{FOR_S:g}", *args))
            for args in WATCHERS
        ]
        errors = [errors_of(each) for each in watchers]
        for each in errors:
            each.wait_for("shutting")
        generation.kill()
        assert daemon.wait() == 0

        assert [each.wait(10) for each in watchers] == [0] * len(watchers)

        assert time.monotonic() - started_at < FOR_S + BEYOND_S
        *told, as_json = [each.wait_end() for each in errors]
    note = "devsynthctl: the daemon is shutting down; waiting until it is back\n"
    assert told == [note] * len(told)
    assert json.loads(as_json)["error"]["code"] == "shutting_down"


def test_who_watches_a_daemon_that_drains_keeps_it_calm(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    with ExitStack() as stack:
        drain(daemon, upstream, stack)
        daemon.ctl("--timeout", "2", "events")

        status = json.loads(daemon.ctl("status", "--json").stdout)

    assert 1 <= status["totals"]["errors"]["shutting_down"] <= 5


def test_a_stopped_daemon_is_given_up_in_time(short_dir: Path) -> None:
    with ExitStack() as stack:
        daemon = stack.enter_context(daemon_process(short_dir, environ=asks("http://127.0.0.1:9")))
        served = [
            stack.enter_context(daemon.start_ctl("--timeout", f"{FOR_S:g}", *args))
            for args in WATCHERS
        ]
        for each in served:
            assert cast("IO[str]", each.stdout).readline()
        daemon.signal(signal.SIGSTOP)
        stopped_at = time.monotonic()
        assert [each.wait(10) for each in served] == [0] * len(served)
        assert time.monotonic() - stopped_at < FOR_S + BEYOND_S
        for each in served:
            assert "did not answer" not in cast("IO[str]", each.stderr).read()

        for args in WATCHERS:
            started_at = time.monotonic()
            outcome = daemon.ctl("--timeout", "0.5", *args)
            assert time.monotonic() - started_at < 0.5 + BEYOND_S
            assert (outcome.returncode, outcome.stdout) == (NO_ANSWER, "")
            assert "does not answer" in outcome.stderr
