"""``doctor`` where a service manager looks after the daemon: a stand-in says how its units are."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthd.settings.schema import BY_KEY
from tests.ctl.doctoring import Examined, doctor, examined
from tests.ctl.settings_replies import report, setting
from tests.ctl.test_command import serving
from tests.support.fake_daemon import FakeDaemon, Script
from tests.support.replies import PONG, STATUS, models

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="systemctl is Linux's")

# It answers as systemd 252 does: NAME=value lines, a block for each unit.
_SYSTEMCTL = """\
#!/bin/sh
case "$*" in
*show-environment*) echo "HOME=$HOME" ;;
*--property=Version*) echo "Version=252" ;;
*devsynthd.socket*LoadState*) printf '%b' "$FAKE_SOCKET" ;;
*devsynthd.service*LoadState*)
    printf '%b' "$FAKE_SERVICE"
    [ -e "$HOME/asked" ] && printf '%b' "$FAKE_AFTERWARDS"
    touch "$HOME/asked" ;;
*NeedDaemonReload*) echo "NeedDaemonReload=${FAKE_STALE:-no}" ;;
*ReadWritePaths*) printf '%b' "$FAKE_SANDBOX" ;;
esac
"""

RUNNING = "LoadState=loaded\\nActiveState=active\\nSubState=running\\nResult=success\\n"
LISTENING = "LoadState=loaded\\nActiveState=active\\nSubState=listening\\nResult=success\\n"
INACTIVE = "LoadState=loaded\\nActiveState=inactive\\nSubState=dead\\nResult=success\\n"
FAILED = "LoadState=loaded\\nActiveState=failed\\nSubState=failed\\nResult={}\\n"
AGAIN = (
    "LoadState=loaded\\nActiveState=activating\\nSubState=auto-restart\\nResult=exit-code\\n"
    "NRestarts=4\\n"
)
EXITED = "ExecMainCode=1\\nExecMainStatus={}\\n"
LISTENS_AT = "Listen={} (Stream)\\n"
UNKNOWN = "LoadState=not-found\\nActiveState=inactive\\nSubState=dead\\nResult=success\\n"

Look = Callable[..., Examined]


@pytest.fixture
def look(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Look:
    """Return a function that runs it beside units in these states, at the user's own socket."""
    bin_dir = short_dir / "bin"
    bin_dir.mkdir()
    (bin_dir / "systemctl").write_text(_SYSTEMCTL)
    (bin_dir / "systemctl").chmod(0o755)
    (short_dir / "devsynth").mkdir(mode=0o700)
    monkeypatch.setenv("PATH", f"{bin_dir}:{os.environ['PATH']}")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_dir))
    monkeypatch.setenv("HOME", str(short_dir))

    def look(service: str, socket: str = UNKNOWN, **more: str) -> Examined:
        environ = {"FAKE_SERVICE": service, "FAKE_SOCKET": socket, **more}
        return examined(None, "--no-generate", environ=environ)

    return look


@pytest.fixture
def socket(short_dir: Path) -> Path:
    return short_dir / "devsynth" / "devsynthd.sock"


def answering(pid: int) -> Script:
    told = report(*map(setting, BY_KEY))
    return serving(ping=PONG | {"pid": pid}, status=STATUS, config_get=told, list=models())


def test_it_is_not_installed(look: Look) -> None:
    result = look(UNKNOWN)

    assert result.states["service"] == "warn"
    assert result.checks["service"]["remedy"] == "devsynthctl service install"
    assert result.checks["socket"]["remedy"] == "devsynthd &"


def test_it_is_installed_and_stopped(look: Look) -> None:
    result = look(INACTIVE, INACTIVE)

    assert "installed in systemd, but stopped" in result.told("service")
    assert result.checks["socket"]["remedy"] == "devsynthctl service start"


def test_it_waits_for_the_first_request(look: Look) -> None:
    result = look(INACTIVE, LISTENING)

    assert result.states["service"] == "ok"
    assert "starts with the first request" in result.told("service")


@pytest.mark.parametrize("socket_state", [INACTIVE, LISTENING])
def test_its_configuration_is_invalid(look: Look, socket_state: str) -> None:
    result = look(FAILED.format("exit-code") + EXITED.format(78), socket_state)

    assert result.states["service"] == "failed"
    assert "configuration invalid (status 78)" in result.told("service")
    assert "devsynthctl config edit" in result.told("service")


def test_it_has_failed(look: Look) -> None:
    result = look(FAILED.format("watchdog"), INACTIVE)

    assert "systemd gave up: the daemon failed (watchdog, status unknown)" in result.told("service")
    assert "devsynthctl service logs" in result.told("service")


def test_it_is_started_over_and_over(look: Look) -> None:
    state = (
        "LoadState=loaded\\nActiveState=activating\\nSubState=auto-restart\\nResult=exit-code\\n"
    )
    result = look(state + "NRestarts=4\\n" + EXITED.format(1), LISTENING)

    assert result.states["service"] == "warn"
    assert "over and over (activating (auto-restart)); it ended with exit-code, status 1" in (
        result.told("service")
    )


def test_it_runs_and_does_not_answer(look: Look, socket: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.receive()
        daemon.go.wait()

    with FakeDaemon(socket, script):
        environ = {"FAKE_SERVICE": f"{RUNNING}MainPID=77\\n", "FAKE_SOCKET": LISTENING}
        result = examined(None, "--no-generate", environ=environ, timeout="0.3")

    assert result.checks["daemon"]["remedy"] == "devsynthctl service restart"
    assert result.states["service"] == "ok"
    assert look(RUNNING, LISTENING).states["socket"] == "failed"


@pytest.mark.parametrize(
    ("stale", "state", "said"),
    [
        ("no", "ok", "installed in systemd, is active (running)"),
        ("yes", "warn", "have changed since systemd read them"),
    ],
)
def test_it_runs_and_answers(look: Look, socket: Path, stale: str, state: str, said: str) -> None:
    with FakeDaemon(socket, answering(4321)):
        result = look(f"{RUNNING}MainPID=4321\\n", LISTENING, FAKE_STALE=stale)

    assert result.states["service"] == state
    assert said in result.told("service")


def test_the_first_request_has_started_it(look: Look, socket: Path) -> None:
    """What is listed twice counts as it is listed last."""
    with FakeDaemon(socket, answering(4321)):
        result = look(INACTIVE, LISTENING, FAKE_AFTERWARDS=f"{RUNNING}MainPID=4321\\n")

    assert result.checks["service"]["message"] == "installed in systemd, is active (running)"


def test_another_daemon_has_its_socket(look: Look, socket: Path) -> None:
    with FakeDaemon(socket, answering(4322)):
        failed = look(FAILED.format("exit-code") + EXITED.format(1), INACTIVE)
        running = look(f"{RUNNING}MainPID=4321\\n", INACTIVE)

    assert "(pid 4322) is not the one of systemd" in running.told("service")
    assert "devsynthctl shutdown; devsynthctl service start" in running.told("service")
    assert failed.states["service"] == "warn"  # somebody answers all the same


def test_its_socket_has_another_place(look: Look, short_dir: Path) -> None:
    """A shell without the variable that the service was installed with."""
    result = look(INACTIVE, LISTENING + LISTENS_AT.format(f"{short_dir}/my own.sock"))

    assert f"the service has its socket at {short_dir}/my own.sock" in result.told("socket")
    assert result.checks["socket"]["remedy"] == f"export DEVSYNTH_SOCKET='{short_dir}/my own.sock'"
    assert f"the service has another socket, {short_dir}/my own.sock" in result.told("service")


def test_a_socket_of_its_own_that_this_shell_knows_of(look: Look, short_dir: Path) -> None:
    path = short_dir / "own.sock"
    states = (f"{RUNNING}MainPID=4321\\n", LISTENING + LISTENS_AT.format(path))
    with FakeDaemon(path, answering(4321)):
        result = look(*states, DEVSYNTH_SOCKET=str(path))
    stopped = look(INACTIVE, INACTIVE + LISTENS_AT.format(path), DEVSYNTH_SOCKET=str(path))

    assert result.checks["service"]["message"] == "installed in systemd, is active (running)"
    assert stopped.checks["socket"]["remedy"] == "devsynthctl service start"


def test_somebody_who_asks_for_another_daemon_gets_it(look: Look, short_dir: Path) -> None:
    states = {
        "FAKE_SERVICE": INACTIVE,
        "FAKE_SOCKET": LISTENING + LISTENS_AT.format(short_dir / "own.sock"),
    }
    other = short_dir / "other.sock"
    result = examined(other, "--no-generate", environ=states)

    assert look(INACTIVE).states["socket"] == "failed"
    assert result.checks["socket"]["remedy"] == f"devsynthd --socket {other} &"
    assert "the service has another socket" in result.told("service")


def test_the_file_of_its_socket_was_deleted(look: Look, socket: Path) -> None:
    listening = LISTENING + LISTENS_AT.format(socket)
    gone, stopped = look(AGAIN, listening), look(INACTIVE, INACTIVE + LISTENS_AT.format(socket))

    assert f"the socket's file {socket} is gone, and systemd still listens" in gone.told("socket")
    assert gone.checks["socket"]["remedy"] == (
        "devsynthctl service stop; devsynthctl service start"
    )
    assert stopped.checks["socket"]["remedy"] == "devsynthctl service start"


@pytest.mark.parametrize(
    ("sandbox", "state"),
    [
        ("ProtectSystem=strict\\nReadWritePaths=-/none /other dir -{}/a dir /x\\n", "ok"),
        ("ProtectSystem=strict\\nReadWritePaths=-{}\\n", "ok"),
        ("ProtectSystem=strict\\nReadWritePaths=-{}/link /none\\n", "ok"),
        ("ProtectSystem=strict\\nReadWritePaths=-{}/a -{}/a dir2\\n", "warn"),
        ("ProtectSystem=strict\\nReadWritePaths=\\n", "warn"),
        ("ProtectSystem=no\\nReadWritePaths=\\n", "ok"),
        ("", "ok"),
    ],
)
def test_its_sandbox_and_the_config_file(
    look: Look, socket: Path, short_dir: Path, sandbox: str, state: str
) -> None:
    """The file is a symlink: what is written is its target."""
    folder = short_dir / "a dir"
    folder.mkdir()
    (short_dir / "link").symlink_to(folder)
    (folder / "real.toml").touch()
    file = short_dir / "config.toml"
    file.symlink_to(folder / "real.toml")
    status = STATUS | {"config": STATUS["config"] | {"path": str(file)}}
    told = report(*map(setting, BY_KEY))
    script = serving(ping=PONG | {"pid": 4321}, status=status, config_get=told, list=models())
    environ = {"FAKE_SANDBOX": sandbox.format(short_dir, short_dir), "DEVSYNTH_CONFIG": str(file)}
    with FakeDaemon(socket, script):
        result = look(f"{RUNNING}MainPID=4321\\n", LISTENING, **environ)

    assert result.states["config"] == state
    if state == "warn":
        assert f"lets the daemon read {file}, but not change it" in result.told("config")
        assert result.checks["config"]["remedy"] == "devsynthctl service install"


@pytest.mark.usefixtures("look")
def test_the_report_has_the_journal_but_nothing_for_debugging(short_dir: Path) -> None:
    """Lines for debugging may have prompts and answers, so they are not even asked for."""
    journalctl = short_dir / "bin" / "journalctl"
    event = {"LOGGER": "devsynthd.daemon", "PRIORITY": "6", "__REALTIME_TIMESTAMP": "0"}
    said = json.dumps(event | {"MESSAGE": f"key Bearer planted-9 of {short_dir}"})
    engines = json.dumps({"MESSAGE": "prompt: planted-8", "SYSLOG_IDENTIFIER": "devsynthd"})
    journalctl.write_text(
        f"#!/bin/sh\necho \"$*\" >'{short_dir}/asked for'\necho '{said}'\necho '{engines}'\n"
    )
    journalctl.chmod(0o755)
    environ = {"FAKE_SERVICE": RUNNING, "FAKE_SOCKET": LISTENING}
    text = doctor(None, "--no-generate", "--report", "-", environ=environ).stdout

    asked = (short_dir / "asked for").read_text()
    assert "--user-unit=devsynthd.service" in asked
    assert "--priority=info" in asked
    assert "1970-01-01T00:00:00Z info key Bearer ******** of ~" in text.partition("## Log")[2]
    assert "planted" not in text
    assert "manager = systemd" in text
