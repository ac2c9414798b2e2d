"""An installation that is done again: after one that went wrong, from another shell, elsewhere."""

import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest

from tests.support.fake_systemctl import SYSTEMCTL, UP, Machine, make_machine, running

RELOAD = "systemctl --user daemon-reload"
RESTART = "systemctl --user restart devsynthd.service"
STOP = "systemctl --user stop devsynthd.socket devsynthd.service"
START = "systemctl --user start devsynthd.socket devsynthd.service"
RESTART_BOTH = "systemctl --user restart devsynthd.socket devsynthd.service"
FORGET = "systemctl --user reset-failed devsynthd.socket devsynthd.service"


@pytest.fixture
def machine(short_dir: Path) -> Machine:
    """Return one where all is well and nothing installed."""
    if sys.platform != "linux":
        pytest.skip("systemd is what Linux has")
    return make_machine(short_dir)


@pytest.fixture
def other(machine: Machine) -> Path:
    """Return another socket than the usual one."""
    return machine.home / "run" / "other.sock"


def fail_at(machine: Machine, words: str) -> None:
    """Have ``systemctl`` fail where it is told *words*; with none it works again."""
    case = f'  "--user {words}"*) answer=none ;;\n' if words else ""
    text = SYSTEMCTL.replace('case "$*" in\n', f'case "$*" in\n{case}')
    (machine.programs / "systemctl").write_text(text)


def test_an_installation_that_was_not_read_is_read_the_next_time(machine: Machine) -> None:
    options = ("--config", str(machine.home / "own" / "c.toml"))
    with running(machine):
        assert machine.run("install").returncode == 0
        fail_at(machine, "daemon-reload")
        assert machine.run("install", *options).returncode == 1
        machine.calls()

        fail_at(machine, "")
        machine.says(service=f"{UP}NeedDaemonReload=yes\n")
        again = machine.run("install", *options)

    assert "already installed" not in again.stdout
    calls = machine.calls()
    assert calls.index(RELOAD) < calls.index(RESTART)


def test_a_daemon_that_was_not_restarted_is_the_next_time(machine: Machine) -> None:
    with running(machine):
        assert machine.run("install").returncode == 0
        before = time.monotonic()
        fail_at(machine, "restart")
        other = str(machine.home / "own" / "c.toml")
        assert machine.run("install", "--config", other).returncode == 1
        fail_at(machine, "")
        machine.calls()

        machine.says(service=f"{UP}ActiveEnterTimestampMonotonic={before * 1e6:.0f}\n")
        assert machine.run("install").returncode == 0
        assert RESTART in machine.calls()

        after = time.monotonic()
        machine.says(service=f"{UP}ActiveEnterTimestampMonotonic={after * 1e6:.0f}\n")
        assert machine.run("install").stdout.startswith("already installed")
    assert machine.calls() == []


def test_a_socket_that_stayed_where_it_was_is_moved_the_next_time(
    machine: Machine, other: Path
) -> None:
    environ = {"DEVSYNTH_SOCKET": str(other)}
    with running(machine):
        assert machine.run("install").returncode == 0
    before = time.monotonic()
    with running(machine, other):
        fail_at(machine, "stop")
        assert machine.run("install", **environ).returncode == 1
        fail_at(machine, "")
        machine.calls()

        text = (machine.programs / "socket").read_text()
        machine.says(socket=f"{text}ActiveEnterTimestampMonotonic={before * 1e6:.0f}\n")
        assert machine.run("install", **environ).returncode == 0

    calls = machine.calls()
    assert calls.index(STOP) < calls.index(START)


def test_a_socket_is_kept_unless_another_is_named(machine: Machine, other: Path) -> None:
    config = machine.home / "own" / "c.toml"
    with running(machine, other):
        first = machine.run("install", "--config", str(config), DEVSYNTH_SOCKET=str(other))
        assert (first.returncode, "keeps" in first.stderr) == (0, False)

        again = machine.run("install")
        assert again.stdout.startswith("already installed")
        assert f"keeps --socket {other}, which it was installed with" in again.stderr
        assert f"keeps --config {config}, which it was installed with" in again.stderr
        told = json.loads(machine.run("install", "--json").stdout)
    assert (told["changed"], told["socket"]) == (False, str(other))
    assert told["kept"] == [f"--socket {other}", f"--config {config}"]

    with running(machine):
        moved = machine.run("install", DEVSYNTH_SOCKET=str(machine.socket))
    assert moved.returncode == 0
    assert "+ListenStream=%t/devsynth/devsynthd.sock" in moved.stdout
    assert f"--config {config}" in (machine.units / "devsynthd.service").read_text()


def test_a_service_elsewhere_is_looked_after_from_any_shell(machine: Machine, other: Path) -> None:
    with running(machine, other):
        for command in ("start", "restart"):
            done = machine.run(command)
            assert (done.returncode, done.stderr) == (0, "")
        status = json.loads(machine.run("status", "--json").stdout)
    assert (status["socket"], status["answers"]) == (str(other), True)


@pytest.mark.parametrize("command", ["start", "restart"])
def test_a_socket_that_nobody_finds_is_made_anew(machine: Machine, command: str) -> None:
    with running(machine):
        elsewhere = machine.socket.rename(machine.socket.with_name("gone"))
        # What systemd would do, before the daemon is asked.
        program = machine.programs / "systemctl"
        program.write_text(
            SYSTEMCTL.replace(
                'case "$*" in\n',
                'case "$*" in\n'
                f'  "--user restart"*) mv {elsewhere} {machine.socket}; answer=systemctl-does ;;\n',
            )
        )
        done = machine.run(command)

    assert (done.returncode, done.stderr) == (0, "")
    assert machine.calls() == [RELOAD, FORGET, RESTART_BOTH]


def test_failures_of_before_keep_nobody_from_starting_it(machine: Machine) -> None:
    with running(machine):
        assert machine.run("start").returncode == 0
    assert machine.calls() == [RELOAD, FORGET, START]


@pytest.mark.parametrize("place", ["", ".config", ".config/systemd/user", ".."])
@pytest.mark.parametrize("option", ["socket", "config"])
def test_a_sandbox_is_not_opened(machine: Machine, place: str, option: str) -> None:
    machine.units.mkdir(parents=True)
    path = str(machine.home / place / "d")
    given = {"DEVSYNTH_SOCKET": path} if option == "socket" else {"DEVSYNTH_CONFIG": path}

    done = machine.run("install", **given)

    assert done.returncode == 1
    assert "outside of its sandbox; nothing was changed" in done.stderr
    assert "in a folder of its own" in done.stderr
    assert list(machine.units.iterdir()) == []


def test_a_sandbox_is_not_opened_by_a_link(machine: Machine) -> None:
    (machine.home / "link").symlink_to(machine.home)
    done = machine.run("install", DEVSYNTH_SOCKET=str(machine.home / "link" / "d.sock"))
    assert "outside of its sandbox" in done.stderr

    config = machine.home / ".config" / "devsynth" / "config.toml"
    config.parent.mkdir(parents=True)
    (machine.home / ".dotfile").touch()
    config.symlink_to(machine.home / ".dotfile")
    assert "outside of its sandbox" in machine.run("install").stderr


@pytest.mark.parametrize("name", ["a\nb", "a\x01", "a\tb", os.fsdecode(b"\xff")])
def test_a_path_that_no_unit_can_have_is_refused(machine: Machine, name: str) -> None:
    done = machine.run("install", "--config", str(machine.home / name / "c.toml"))

    assert done.returncode == 1
    assert "cannot stand in the files of a service" in done.stderr
    assert "Traceback" not in done.stderr
    assert not machine.units.exists()


@pytest.mark.parametrize("end", ["\\", " "])
def test_a_socket_that_systemd_would_misread_is_refused(machine: Machine, end: str) -> None:
    done = machine.run("install", DEVSYNTH_SOCKET=f"{machine.home}/run/d{end}")

    assert done.returncode == 1
    assert "cannot be the socket of a service" in done.stderr
    assert not machine.units.exists()


def test_a_sandbox_that_cannot_be_tried_is_left_as_it_is(machine: Machine) -> None:
    drop_in = machine.units / "devsynthd.service.d"
    (machine.programs / "systemd-run").unlink()
    for name in ("sh", "dirname", "basename", "cat"):
        program = shutil.which(name)
        assert program
        (machine.programs / name).symlink_to(program)
    machine.environ["PATH"] = str(machine.programs)
    with running(machine):
        done = machine.run("install")
    assert done.returncode == 0
    assert "systemd-run is not there" in done.stderr
    assert "forbids user namespaces" not in done.stderr
    assert not drop_in.exists()


def test_what_was_set_aside_is_told_when_all_else_is_gone(machine: Machine) -> None:
    unit = machine.units / "devsynthd.service"
    with running(machine):
        machine.run("install")
        unit.write_text("# mine\n")
        assert machine.run("install", "--force").returncode == 0
    done = machine.run("uninstall")

    assert done.returncode == 0
    assert f"set aside before, and stays: {unit}.orig\n" in done.stderr
    assert [each.name for each in machine.units.iterdir()] == [f"{unit.name}.orig"]
