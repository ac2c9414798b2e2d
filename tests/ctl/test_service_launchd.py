"""The agent of launchd, by a stand-in for ``launchctl`` that is as slow to let go as the real."""

import plistlib
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthctl.service.errors import EditedFile, NoManager, NotInstalled, ServiceError
from devsynthctl.service.launchd import Launchd
from devsynthctl.service.managers import manager_of
from devsynthctl.service.runner import Runner
from devsynthctl.service.wish import Told, Wish
from devsynthd.host.log_file import log_file
from devsynthd.host.paths import config_path, runtime_dir
from tests.support import fake_launchctl
from tests.support.fake_launchctl import PID

UID = 501
Make = Callable[..., Launchd]


@pytest.fixture
def home(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, str(short_dir / name))
    return short_dir


@pytest.fixture
def make(home: Path) -> Make:
    """Return a function that makes the manager, on a machine with a desktop or without."""

    def make(*, desktop: bool = True) -> Launchd:
        environ = fake_launchctl.install(home, desktop=desktop)
        clock = iter(range(0, 10_000, 10))
        return Launchd(
            Runner(environ),
            UID,
            home,
            print,
            sleep=lambda _s: None,
            monotonic=lambda: float(next(clock)),
        )

    return make


def plist(home: Path) -> Path:
    return home / "Library" / "LaunchAgents" / "devsynthd.plist"


def wish(path: Path | None = None, config: Path | None = None) -> Wish:
    config = config or config_path(None, {})
    return Wish(
        daemon=("/opt/bin/devsynthd",),
        ctl=("/opt/bin/devsynthctl",),
        socket=path or runtime_dir({}, UID) / "devsynth" / "devsynthd.sock",
        config=config,
        config_target=config,
    )


def install(launchd: Launchd, made: Wish | None = None, *, force: bool = False) -> bool:
    return launchd.install(made or wish(), force=force, linger=False).changed


def test_it_is_installed_once(make: Make, home: Path) -> None:
    launchd = make()

    assert install(launchd)
    assert fake_launchctl.calls(home) == [
        "enable gui/501/devsynthd",
        f"bootstrap gui/501 {plist(home)}",
    ]
    values = plistlib.loads(plist(home).read_bytes())
    assert values["ProgramArguments"] == ["/opt/bin/devsynthd"]
    assert Path(values["StandardErrorPath"]).parent == log_file().parent
    assert log_file().parent.is_dir()

    assert not install(launchd)
    assert fake_launchctl.calls(home) == []


def test_another_installation_waits_until_launchd_has_let_go(make: Make, home: Path) -> None:
    launchd = make()
    install(launchd)
    fake_launchctl.calls(home)

    assert install(launchd, wish(Path("/s/d.sock"), Path("/c/config.toml")))

    # Without waiting, bootstrap would fail with an input/output error, and be tried again.
    assert fake_launchctl.calls(home) == [
        "bootout gui/501/devsynthd",
        "enable gui/501/devsynthd",
        f"bootstrap gui/501 {plist(home)}",
    ]
    assert plistlib.loads(plist(home).read_bytes())["ProgramArguments"] == [
        *("/opt/bin/devsynthd", "--socket", "/s/d.sock", "--config", "/c/config.toml"),
    ]


def test_an_installation_that_launchd_kept_from_its_end_is_done_the_next_time(
    make: Make, home: Path
) -> None:
    launchd, other = make(), wish(Path("/s/d.sock"))
    install(launchd)
    fake_launchctl.change_agent(home, stuck=True)
    with pytest.raises(ServiceError, match="does not let"):
        install(launchd, other)
    fake_launchctl.change_agent(home, stuck=False)

    assert install(launchd, other)
    assert "/s/d.sock" in plist(home).read_text()
    assert not install(launchd, other)


def test_it_is_known_where_it_listens(make: Make) -> None:
    launchd = make()
    install(launchd)
    assert launchd.status().socket == str(runtime_dir({}, UID) / "devsynth" / "devsynthd.sock")

    install(launchd, wish(Path("/s/d.sock"), Path("/c/config.toml")))
    assert launchd.status().socket == "/s/d.sock"
    assert launchd.told() == Told(socket=Path("/s/d.sock"), config=Path("/c/config.toml"))


def test_a_long_grace_is_waited_for(make: Make, home: Path) -> None:
    config = home / "config.toml"
    config.write_text("[daemon]\nshutdown_grace = 90\n")
    launchd = make()
    install(launchd, wish(config=config))

    assert plistlib.loads(plist(home).read_bytes())["ExitTimeOut"] == 100

    config.write_text("[daemon]\nshutdown_grace = 'no'\n")
    assert install(launchd, wish(config=config))
    assert plistlib.loads(plist(home).read_bytes())["ExitTimeOut"] == 30


def test_what_a_plist_cannot_have_is_refused(make: Make, home: Path) -> None:
    with pytest.raises(ServiceError, match="cannot stand in the files of a service"):
        install(make(), wish(config=Path("/a\x01/c.toml")))
    assert not plist(home).exists()


def test_without_a_desktop_it_is_an_agent_of_the_user(make: Make, home: Path) -> None:
    install(make(desktop=False))
    assert fake_launchctl.calls(home)[-1] == f"bootstrap user/501 {plist(home)}"


def test_what_cannot_be_is_warned_of(make: Make) -> None:
    report = make().install(wish(), force=False, linger=True)
    assert report.warnings == ["launchd runs agents only while you are logged in"]


def test_an_edited_agent_is_not_overwritten(make: Make, home: Path) -> None:
    launchd = make()
    install(launchd)
    mine = plist(home).read_text().replace("Interactive", "Background")
    plist(home).write_text(mine)
    fake_launchctl.calls(home)

    with pytest.raises(EditedFile, match="-\t<string>Background</string>"):
        install(launchd)
    assert fake_launchctl.calls(home) == []
    assert launchd.status().files[0].state == "edited"

    assert install(launchd, force=True)
    assert plist(home).with_name("devsynthd.plist.orig").read_text() == mine


def test_a_daemon_that_was_started_by_hand_is_told(make: Make, home: Path, short_dir: Path) -> None:
    path = short_dir / "d.sock"
    (short_dir / "d.sock.lock").write_text("77\n")
    with socket.socket(socket.AF_UNIX) as by_hand:
        by_hand.bind(str(path))
        by_hand.listen()
        with pytest.raises(ServiceError, match=r"started by hand .*d\.sock \(pid 77\)"):
            install(make(), wish(path))
    assert not plist(home).exists()


def test_it_is_stopped_started_and_restarted(make: Make, home: Path) -> None:
    launchd = make()
    install(launchd)
    fake_launchctl.calls(home)

    launchd.restart()
    assert fake_launchctl.calls(home) == [
        "kill SIGTERM gui/501/devsynthd",  # so that what is being generated may end
        "kickstart gui/501/devsynthd",
    ]
    assert launchd.status().pid == PID + 1

    launchd.stop()
    assert fake_launchctl.calls(home) == ["bootout gui/501/devsynthd"]
    assert (launchd.status().state, launchd.status().running) == ("not loaded", False)

    launchd.stop()
    assert fake_launchctl.calls(home) == []

    launchd.start()
    assert fake_launchctl.calls(home)[-1] == f"bootstrap gui/501 {plist(home)}"
    launchd.start()
    assert fake_launchctl.calls(home) == ["kickstart gui/501/devsynthd"]


def test_a_restart_starts_what_was_stopped(make: Make, home: Path) -> None:
    launchd = make()
    install(launchd)
    launchd.stop()
    launchd.restart()
    assert fake_launchctl.calls(home)[-1] == f"bootstrap gui/501 {plist(home)}"


def test_how_it_is(make: Make, home: Path) -> None:
    launchd = make()
    assert not launchd.status().installed

    install(launchd)
    running = launchd.status()
    assert (running.installed, running.running, running.pid) == (True, True, PID)
    assert (running.restarts, running.result) == (0, None)

    fake_launchctl.change_agent(
        home, state="spawn scheduled", pid=None, runs=3, exit="78: EX_CONFIG"
    )
    failed = launchd.status()
    assert (failed.running, failed.state, failed.restarts) == (False, "spawn scheduled", 2)
    assert (failed.result, failed.exit_status) == ("exit-code", 78)


def test_nothing_is_left(make: Make, home: Path) -> None:
    launchd = make()
    install(launchd)
    fake_launchctl.calls(home)

    assert launchd.uninstall(force=False).changed
    assert fake_launchctl.calls(home) == ["bootout gui/501/devsynthd"]
    assert list(plist(home).parent.iterdir()) == []

    assert not launchd.uninstall(force=False).changed
    assert fake_launchctl.calls(home) == []


def test_an_agent_that_launchd_keeps_is_an_error_in_the_end(make: Make, home: Path) -> None:
    launchd = make()
    install(launchd)
    fake_launchctl.change_agent(home, stuck=True)

    with pytest.raises(ServiceError, match="launchd does not let devsynthd go"):
        launchd.stop()


def test_an_agent_that_is_being_let_go_is_loaded_when_that_is_done(make: Make, home: Path) -> None:
    """As when somebody has stopped it by launchctl a moment ago."""
    launchd = make()
    install(launchd)
    Runner(fake_launchctl.environ(home)).run(["launchctl", "bootout", "gui/501/devsynthd"])
    fake_launchctl.calls(home)

    install(launchd, wish(Path("/s/other.sock")))

    assert launchd.status().running


@pytest.mark.parametrize("verb", ["start", "stop", "restart"])
def test_what_is_not_installed_cannot_be_run(make: Make, verb: str) -> None:
    with pytest.raises(NotInstalled, match=r"there is no .*devsynthd\.plist"):
        getattr(make(), verb)()


def test_a_machine_without_launchd_is_told(tmp_path: Path) -> None:
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path)}
    with pytest.raises(NoManager, match="this machine has no launchd"):
        manager_of("darwin", environ, print).status()
    with pytest.raises(NoManager, match="no service manager known for sunos"):
        manager_of("sunos", environ, print)


def test_the_log_is_that_of_the_daemon(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    launchd = make()
    with pytest.raises(ServiceError, match="there is no log"):
        launchd.show_logs(lines=1, follow=False, as_json=False)
    log_file().parent.mkdir(parents=True)
    log_file().write_text("one\ntwo\n")

    launchd.show_logs(lines=1, follow=False, as_json=False)

    assert capsys.readouterr().out.strip() == "two"
