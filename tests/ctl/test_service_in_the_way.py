"""What is in the way of a service: a daemon that was started by hand, and disks without room."""

import fcntl
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devsynthctl.service.errors import EditedFile, ServiceError
from devsynthctl.service.knocking import Other, other_daemon
from devsynthctl.service.launchd import Launchd
from devsynthctl.service.runner import Runner
from devsynthctl.service.trial import refuse_bad_settings
from devsynthctl.service.wish import Wish
from devsynthd.host.paths import config_path
from tests.process.surroundings import full_disk, read_only_disk, with_mounts
from tests.support import fake_launchctl
from tests.support.fake_systemctl import make_machine
from tests.support.terminal import shown_on_terminal

NOBODY = 2**22 + 1  # more than any pid


@contextmanager
def held(path: Path, pid: int) -> Iterator[None]:
    """Hold the lock of *path*, in which *pid* stands."""
    with path.with_name(f"{path.name}.lock").open("w") as lock:
        lock.write(f"{pid}\n")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextmanager
def listened_at(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(path))
        door.listen()
        yield


def test_a_lock_tells_whose_the_socket_is(short_dir: Path) -> None:
    path = short_dir / "d.sock"
    assert other_daemon(path, None, is_up=False) is None
    with held(path, os.getpid()):
        assert other_daemon(path, os.getpid(), is_up=True) is None
        assert other_daemon(path, 1, is_up=True) == Other(os.getpid(), is_heard=False)
        with listened_at(path):
            assert other_daemon(path, 1, is_up=True) == Other(os.getpid(), is_heard=True)
    path.unlink()
    assert other_daemon(path, None, is_up=False) is None  # the file stays, and counts for nothing


@pytest.mark.skipif(sys.platform != "linux", reason="it tells who listens by SO_PEERCRED")
def test_another_who_listens_hears_nobody_for_it(short_dir: Path) -> None:
    path = short_dir / "d.sock"
    with held(path, NOBODY), listened_at(path):
        assert other_daemon(path, None, is_up=True) == Other(NOBODY, is_heard=False)


def test_a_listener_without_a_lock_is_the_services_if_that_is_up(short_dir: Path) -> None:
    path = short_dir / "d.sock"
    with listened_at(path):
        assert other_daemon(path, None, is_up=True) is None
        assert other_daemon(path, None, is_up=False) is not None


@pytest.fixture
def launchd(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Launchd:
    """Return the manager of a Mac where the agent is installed, and runs."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(short_dir / name))
    manager = Launchd(
        Runner(fake_launchctl.install(short_dir)), 501, short_dir, print, sleep=lambda _s: None
    )
    config = config_path(None, {})
    wish = Wish(
        daemon=(str(short_dir / "devsynthd"),),
        ctl=("/opt/bin/devsynthctl",),
        socket=short_dir / "d.sock",
        config=config,
        config_target=config,
    )
    manager.install(wish, force=False, linger=False)
    fake_launchctl.calls(short_dir)
    return manager


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_an_agent_is_not_started_beside_another(
    launchd: Launchd, short_dir: Path, verb: str
) -> None:
    with (
        held(short_dir / "d.sock", NOBODY),
        pytest.raises(ServiceError, match=rf"\(pid {NOBODY}\).* nothing was changed") as caught,
    ):
        getattr(launchd, verb)()
    assert caught.value.hint == f"end it: kill {NOBODY}; then: devsynthctl service {verb}"
    assert fake_launchctl.calls(short_dir) == []

    with held(short_dir / "d.sock", fake_launchctl.PID):
        getattr(launchd, verb)()


def test_an_agent_is_not_ended_for_settings_that_the_next_would_refuse(
    launchd: Launchd, short_dir: Path
) -> None:
    daemon = short_dir / "devsynthd"
    daemon.write_text("#!/bin/sh\necho 'devsynthd: c.toml, line 2: no' >&2; exit 78\n")
    daemon.chmod(0o755)
    with pytest.raises(ServiceError, match=r"nothing was changed:\nc\.toml, line 2: no$"):
        launchd.restart()
    assert fake_launchctl.calls(short_dir) == []


def test_an_agent_that_was_edited_is_not_even_stopped(launchd: Launchd, short_dir: Path) -> None:
    plist = short_dir / "Library" / "LaunchAgents" / "devsynthd.plist"
    plist.write_text(plist.read_text().replace("<true/>", "<false/>"))
    with pytest.raises(EditedFile, match="nothing was changed"):
        launchd.uninstall(force=False)
    assert fake_launchctl.calls(short_dir) == []


@pytest.mark.parametrize("name", ["wrapper", "devsynthd %h"])
def test_what_is_no_plain_daemon_is_not_tried(short_dir: Path, name: str) -> None:
    """A script of a person's own may not know ``--check``, and start a daemon for good."""
    program = short_dir / name
    program.write_text(f"#!/bin/sh\ntouch '{short_dir}/tried'; exit 78\n")
    program.chmod(0o755)
    refuse_bad_settings([str(program)], {}, lambda reason: reason)
    assert not (short_dir / "tried").exists()


@pytest.mark.parametrize(
    ("disk", "hint"),
    [
        (full_disk, "hint: make room on its disk"),
        (read_only_disk, "hint: make its folder writable"),
    ],
)
def test_a_unit_that_finds_no_room(short_dir: Path, disk: Callable[..., str], hint: str) -> None:
    if sys.platform != "linux":
        pytest.skip("systemd is what Linux has")
    machine = make_machine(short_dir)
    ours = "# mine\n"
    keep = f"printf '{ours}' >{machine.units}/devsynthd.service"
    command = [sys.executable, "-m", "devsynthctl", "service", "install", "--force"]
    script = f'"$@"; s=$?; cat {machine.units}/*; ls {machine.units}; exit $s'
    done = Runner(machine.environ).run(
        [*with_mounts(disk(machine.units, keep=keep)), "sh", "-c", script, "sh", *command]
    )

    assert done.status == 1
    assert f"cannot write {machine.units}/devsynthd.service: " in done.stderr
    assert hint in done.stderr
    assert "# mine\n" in done.stdout.replace("\0", "")
    assert ".orig" not in done.stdout  # it is where it was


def test_a_report_that_finds_no_room(short_dir: Path) -> None:
    command = [sys.executable, "-m", "devsynthctl", "doctor", "--no-generate", "--report"]
    done = Runner({**os.environ, "HOME": str(short_dir)}).run(
        [*with_mounts(full_disk(short_dir / "disk")), *command, str(short_dir / "disk" / "r.md")]
    )
    assert "No space left on device" in done.stderr
    assert "hint: make room on its disk" in done.stderr


def test_an_option_without_its_value_is_helped_with(short_dir: Path) -> None:
    done = Runner({**os.environ, "HOME": str(short_dir)}).run(
        [sys.executable, "-m", "devsynthctl", "doctor", "--report"]
    )
    assert done.stderr.endswith("hint: devsynthctl doctor --help\n")


def test_a_narrow_terminal_gets_whole_words(short_dir: Path) -> None:
    program = (
        "import sys; from devsynthctl.render.findings import draw; "
        "from devsynthctl.doctor.trouble import Finding; "
        "draw(Finding(name='socket', state='failed', message='no daemon runs here', "
        "remedy='devsynthd &', duration_s=0), sys.stdout, color=False)"
    )
    command = ["env", "COLUMNS=20", sys.executable, "-c", program]
    _, shown = shown_on_terminal(command, {**os.environ, "PYTHONUTF8": "1", "HOME": str(short_dir)})
    assert shown.splitlines() == ["✗ socket", "no daemon runs here", "to mend it: ", "devsynthd &"]
