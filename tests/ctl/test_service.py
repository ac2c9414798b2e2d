"""``devsynthctl service`` on machines whose systemd is missing, out of reach, or full of limits.

How it is on one that is well is shown with a real systemd, in ``tests/host``.
"""

import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devsynthctl.service.units import DROP_IN
from tests.support.fake_systemctl import SYSTEMCTL, UP, Machine, make_machine, running


@pytest.fixture
def machine(short_dir: Path) -> Machine:
    """Return one where all is well and nothing installed."""
    if sys.platform != "linux":
        pytest.skip("systemd is what Linux has")
    return make_machine(short_dir)


@contextmanager
def listener(path: Path) -> Iterator[socket.socket]:
    """Listen at *path*, as whoever does not answer at once."""
    with socket.socket(socket.AF_UNIX) as door:
        door.setblocking(False)  # noqa: FBT003 - its only argument
        door.bind(str(path))
        door.listen()
        yield door


def test_a_machine_without_systemd_is_told_what_to_do(machine: Machine) -> None:
    for command in ("install", "uninstall", "start", "stop", "restart", "status"):
        done = machine.run(command, PATH="/nonexistent")
        assert (done.returncode, done.stdout) == (1, "")
        assert "devsynthctl: this machine has no systemd" in done.stderr
        assert "hint: run `devsynthd` in the foreground" in done.stderr


def test_a_manager_that_is_out_of_reach_is_told_with_its_words(machine: Machine) -> None:
    (machine.programs / "environment").unlink()
    machine.says(complaint="Failed to connect to bus: No medium found\n")

    done = machine.run("install", "--json")

    error = json.loads(done.stderr)["error"]
    assert (done.returncode, error["code"]) == (1, "no_service_manager")
    assert "cannot be reached: Failed to connect to bus: No medium found" in error["message"]
    assert "loginctl enable-linger" in error["hint"]
    assert not machine.units.exists()


def test_a_daemon_that_was_started_by_hand_is_not_fought(machine: Machine) -> None:
    with listener(machine.socket):
        machine.socket.with_name("devsynthd.sock.lock").write_text("4321\n")
        done = machine.run("install")

    assert done.returncode == 1
    assert "devsynthd was started by hand" in done.stderr
    assert "(pid 4321); nothing was changed" in done.stderr
    assert "devsynthctl shutdown" in done.stderr
    assert not machine.units.exists()


def test_an_upgrade_restarts_only_the_service(machine: Machine) -> None:
    with running(machine):
        assert machine.run("install").returncode == 0
        machine.calls()
        again = machine.run("install")
        assert again.stdout.startswith("already installed, nothing to do")
        assert machine.calls() == []

        # Written by the version before this one.
        unit = machine.units / "devsynthd.service"
        older = machine.run("install", "--config", str(machine.home / "own" / "c.toml"))

    assert older.returncode == 0
    assert f"updated {unit}\n" in older.stdout
    assert "+ExecStart=" in older.stdout
    assert "devsynthd.socket" not in older.stdout
    restart = "systemctl --user restart devsynthd.service"
    calls = machine.calls()
    assert calls[0] == "systemctl --user daemon-reload"
    assert restart in calls
    assert not any(" stop " in each for each in calls)


def test_another_socket_is_listened_at_anew(machine: Machine) -> None:
    other = machine.home / "run" / "other.sock"
    with running(machine):
        assert machine.run("install").returncode == 0
    machine.calls()
    with running(machine, other):
        done = machine.run("install", DEVSYNTH_SOCKET=str(other))

    assert done.returncode == 0
    assert f"+ListenStream={other}" in done.stdout
    calls = machine.calls()
    stop = calls.index("systemctl --user stop devsynthd.socket devsynthd.service")
    assert stop < calls.index("systemctl --user start devsynthd.socket devsynthd.service")


def test_a_machine_that_forbids_namespaces_gets_a_drop_in_until_it_does_not(
    machine: Machine,
) -> None:
    drop_in = machine.units / "devsynthd.service.d" / DROP_IN
    (machine.programs / "systemd-run-does").unlink()
    with running(machine):
        done = machine.run("install")
        assert done.returncode == 0
        assert f"wrote {drop_in}\n" in done.stdout
        assert "forbids user namespaces" in done.stderr
        assert "PrivateUsers=no\n" in drop_in.read_text()

        machine.says(systemd_run_does="")
        done = machine.run("install")
    assert f"removed {drop_in}\n" in done.stdout
    assert not drop_in.parent.exists()


def test_lingering_is_asked_for_only_if_it_is_wanted(machine: Machine) -> None:
    machine.says(linger="no\n")
    with running(machine):
        done = machine.run("install")
        assert "it ends when you log out" in done.stderr
        assert not any("enable-linger" in each for each in machine.calls())

        done = machine.run("install", "--linger")
        assert (done.returncode, machine.calls()) == (
            0,
            [f"loginctl enable-linger {os.getuid()}"],
        )

        (machine.programs / "loginctl-does").unlink()
        machine.says(complaint="Access denied\n")
        done = machine.run("install", "--linger")
    assert done.returncode == 1
    assert "ends when you log out: Access denied" in done.stderr
    assert f"as root: loginctl enable-linger {os.getuid()}" in done.stderr


def test_variables_that_a_service_does_not_get_are_warned_of(machine: Machine) -> None:
    with running(machine):
        done = machine.run("install", "--json", DEVSYNTH_LLM_API_KEY="secret")

    (warning,) = json.loads(done.stdout)["warnings"]
    assert "DEVSYNTH_LLM_API_KEY" in warning
    assert "secret" not in done.stdout + done.stderr


def test_a_start_that_fails_says_why(machine: Machine) -> None:
    does_not_start = '  "--user start"*|"--user restart"*) answer=none ;;\n'
    text = SYSTEMCTL.replace('case "$*" in\n', f'case "$*" in\n{does_not_start}')
    (machine.programs / "systemctl").write_text(text)
    failed = UP.replace("ActiveState=active", "ActiveState=failed")
    machine.says(
        service=f"{failed}Result=exit-code\nExecMainCode=1\nExecMainStatus=78\n", socket=UP
    )
    done = machine.run("start")
    assert done.returncode == 1
    assert "its configuration is not valid" in done.stderr
    assert "devsynthctl config check" in done.stderr

    said = "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed: it takes a number"
    machine.says(
        service=f"{failed}Result=exit-code\nExecMainCode=1\nExecMainStatus=78\nStatusText={said}\n"
    )
    done = machine.run("start")
    assert f"its configuration is not valid: {said}" in done.stderr
    assert "config check" not in done.stderr  # which does not look at variables
    assert "mend it: systemctl --user edit devsynthd.service; then: " in done.stderr

    machine.says(
        service=f"{failed}Result=watchdog\nExecMainCode=2\nExecMainStatus=6\nStatusText=why\n"
    )
    done = machine.run("restart")
    assert "devsynthd.service does not start (watchdog, SIGABRT): why" in done.stderr
    assert "devsynthctl service logs" in done.stderr


def test_a_daemon_that_waits_for_its_first_request_is_not_woken(machine: Machine) -> None:
    machine.says(service=UP.replace("ActiveState=active", "ActiveState=inactive"), socket=UP)
    with listener(machine.socket) as door:
        done = machine.run("status", "--json")
        with pytest.raises(BlockingIOError):  # nobody has knocked
            door.accept()

    status = json.loads(done.stdout)
    assert done.returncode == 3
    assert (status["running"], status["listening"], status["answers"]) == (False, True, None)


def test_the_log_is_that_of_both_units(machine: Machine) -> None:
    program = machine.programs / "journalctl"
    program.write_text('#!/bin/sh\necho "$@"; exit 9\n')
    program.chmod(0o755)

    done = machine.run("logs", "-f", "-n", "7")
    assert done.returncode == 9  # it has become that program
    assert done.stdout == (
        "--user --unit=devsynthd.service --unit=devsynthd.socket --lines=7 --follow\n"
    )
    assert machine.run("logs", "--json").stdout.endswith("--lines=50 --no-pager --output=json\n")


def test_there_is_no_log_of_what_is_not_there(machine: Machine) -> None:
    program = machine.programs / "journalctl"
    program.write_text("#!/bin/sh\necho '-- No entries --' >&2\n")
    program.chmod(0o755)

    done = machine.run("logs")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no devsynthd.service" in done.stderr
    assert "this machine has no systemd" in machine.run("logs", PATH="/nonexistent").stderr

    machine.says(service=UP)
    assert machine.run("logs").returncode == 0


def test_what_is_not_there_cannot_be_stopped(machine: Machine) -> None:
    done = machine.run("stop")
    assert done.returncode == 1
    assert "there is no devsynthd.service, so there is nothing to stop" in done.stderr
    assert "devsynthctl shutdown" in done.stderr
    assert "service install" not in done.stderr


def test_lingering_is_told_of_when_it_begins_and_when_it_stays(machine: Machine) -> None:
    machine.says(linger="no\n")
    with running(machine):
        done = machine.run("install", "--linger")
    assert "goes on after you log out" in done.stderr

    machine.says(linger="yes\n")
    with running(machine):
        assert "goes on after you log out" not in machine.run("install", "--linger").stderr
    assert "loginctl disable-linger" in machine.run("uninstall").stderr


def test_a_folder_that_the_daemon_would_refuse_is_refused_first(machine: Machine) -> None:
    shared = machine.home / "shared"
    for mode, remedy in ((0o1777, "choose another with --socket"), (0o775, "chmod go-w ")):
        shared.mkdir(exist_ok=True)
        shared.chmod(mode)
        done = machine.run("install", DEVSYNTH_SOCKET=str(shared / "d.sock"))
        assert done.returncode == 1
        assert f"others may write to the socket's directory {shared}" in done.stderr
        assert f"(mode {mode:04o}); nothing was changed" in done.stderr
        assert remedy in done.stderr
    assert not machine.units.exists()


def test_units_are_taken_away_all_or_none(machine: Machine) -> None:
    with running(machine):
        assert machine.run("install").returncode == 0
    unit, socket_unit = (machine.units / f"devsynthd.{kind}" for kind in ("service", "socket"))
    unit.write_text(f"{unit.read_text()}# mine\n")
    machine.calls()

    done = machine.run("uninstall")

    assert done.returncode == 1
    assert f"{unit} is not as" in done.stderr
    assert "nothing was changed" in done.stderr
    assert "devsynthctl service uninstall --force" in done.stderr
    assert (unit.exists(), socket_unit.exists()) == (True, True)
    assert machine.calls() == []

    assert machine.run("uninstall", "--force").returncode == 0
    assert [each.name for each in machine.units.iterdir()] == [f"{unit.name}.orig"]
