"""``ps``, ``cancel`` and Ctrl-C on a real daemon: what runs, and that it is gone afterwards."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import pytest

from devsynthctl import Client
from devsynthd.wire.objects import RequestInfo
from tests.process.conftest import asks
from tests.support.daemon import CTL, DaemonProcess, daemon_process
from tests.support.terminal import shown_on_terminal
from tests.support.upstream_replies import silence, silence_after
from tests.support.upstream_server import UpstreamServer

WAIT_S = 10.0
INTERRUPTED = 130


@pytest.fixture
def one_at_a_time(short_dir: Path, upstream: UpstreamServer) -> Iterator[DaemonProcess]:
    """Return a daemon that lets one generation run, the others wait."""
    environ = asks(upstream, daemon_max_concurrency="1")
    with daemon_process(short_dir, environ=environ) as running:
        yield running


def wait_states(daemon: DaemonProcess, states: Sequence[str]) -> list[RequestInfo]:
    """Return the daemon's requests once their states are these, oldest request first."""
    until = time.monotonic() + WAIT_S
    with Client(daemon.endpoint) as client:
        while True:
            found = sorted(client.status().requests, key=lambda each: each.request)
            if [each.state for each in found] == [*states]:
                return found
            assert time.monotonic() < until, found


@pytest.mark.parametrize("option", ["", "--no-stream", "--json"])
def test_ctrl_c_takes_a_request_out_of_the_queue(
    one_at_a_time: DaemonProcess, upstream: UpstreamServer, option: str
) -> None:
    upstream.script.append(silence())
    options = [option] if option else []
    with one_at_a_time.start_ctl("generate", "first"):
        upstream.wait_generation()
        with one_at_a_time.start_ctl("generate", "second", *options) as second:
            wait_states(one_at_a_time, ["waiting", "queued"])
            second.send_signal(signal.SIGINT)

            output, errors = second.communicate(timeout=WAIT_S)
            assert (second.returncode, output) == (INTERRUPTED, "")
            assert (json.loads(errors)["error"]["code"] if option == "--json" else errors) == (
                "cancelled" if option == "--json" else ""
            )
        wait_states(one_at_a_time, ["waiting"])
    assert len(upstream.generations) == 1


@pytest.mark.parametrize("option", ["", "--no-stream", "--json"])
@pytest.mark.parametrize("texts", [[], ["so far"]])
def test_ctrl_c_hangs_up_on_the_upstream(
    daemon: DaemonProcess, upstream: UpstreamServer, option: str, texts: list[str]
) -> None:
    upstream.script.append(silence_after(*texts))
    with daemon.start_ctl("generate", "hi", *([option] if option else [])) as process:
        upstream.wait_generation()
        wait_states(daemon, ["streaming" if texts else "waiting"])
        process.send_signal(signal.SIGINT)

        output, _ = process.communicate(timeout=WAIT_S)
    assert process.returncode == INTERRUPTED
    assert output in ("".join(texts), "")
    upstream.wait_disconnected()
    wait_states(daemon, [])


def test_ps_shows_what_runs_and_waits_and_cancel_ends_it(
    one_at_a_time: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    ctl = one_at_a_time.ctl
    with ExitStack() as stack:
        first = stack.enter_context(one_at_a_time.start_ctl("generate", "first"))
        upstream.wait_generation()
        second = stack.enter_context(one_at_a_time.start_ctl("generate", "second"))
        runs, waits = wait_states(one_at_a_time, ["waiting", "queued"])

        header, *rows = [line.split("\t") for line in ctl("ps").stdout.splitlines()]
        as_json = json.loads(ctl("ps", "--json").stdout)["requests"]
        _, table = shown_on_terminal([*CTL, "ps"], one_at_a_time.environ)
        one = ctl("cancel", str(waits.request))
        again = ctl("cancel", str(waits.request))
        every = ctl("cancel", "--all")
        told = [process.communicate(timeout=WAIT_S)[1] for process in (first, second)]

    table_rows = [dict(zip(header, row, strict=True)) for row in rows]
    assert [(row["request"], row["op"], row["state"]) for row in table_rows] == [
        (str(runs.request), "generate", "waiting"),
        (str(waits.request), "generate", "queued"),
    ]
    assert [row["pid"] for row in table_rows] == [str(first.pid), str(second.pid)]
    assert [each["request"] for each in as_json] == [runs.request, waits.request]
    assert "request" in table
    assert "queued" in table
    assert "\t" not in table
    assert one.stdout.startswith(f"cancelled {waits.request} (generate")
    assert (again.returncode, again.stdout) == (1, "")
    assert every.stdout == f"cancelled {runs.request} (generate, m)\n"
    assert (first.returncode, second.returncode) == (INTERRUPTED, INTERRUPTED)
    assert all("cancelled by request" in each for each in told)
    upstream.wait_disconnected()
    assert ctl("ps").stderr == "devsynthctl: nothing runs\n"


def test_what_waits_is_not_started_just_to_be_cancelled(
    one_at_a_time: DaemonProcess, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    with ExitStack() as stack:
        start = one_at_a_time.start_ctl
        started: list[subprocess.Popen[str]] = []
        for states in (["waiting"], ["waiting", "queued"], ["waiting", "queued", "queued"]):
            started.append(stack.enter_context(start("generate", "hi")))
            upstream.wait_generation()
            wait_states(one_at_a_time, states)

        outcome = one_at_a_time.ctl("cancel", "--all", "--json")

        assert [process.wait(WAIT_S) for process in started] == [INTERRUPTED] * 3
    assert len(json.loads(outcome.stdout)["cancelled"]) == 3
    assert len(upstream.generations) == 1
