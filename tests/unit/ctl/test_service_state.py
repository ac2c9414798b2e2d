"""What the managers print of the service, and what a person is told."""

from pathlib import Path

import pytest
from msgspec import structs

from devsynthctl.render.service import (
    installed_notes,
    installed_text,
    service_text,
    uninstalled_notes,
    uninstalled_text,
    unseen_variables,
)
from devsynthctl.service.agent import AgentState, agent_state
from devsynthctl.service.marks import stamped
from devsynthctl.service.reports import FileChange, InstallReport, ServiceStatus, UninstallReport
from devsynthctl.service.unit_state import service_status, unit_state, variables

RUNNING = """\
LoadState=loaded
ActiveState=active
SubState=running
UnitFileState=enabled
FragmentPath={folder}/devsynthd.service
DropInPaths={folder}/devsynthd.service.d/my own.conf {folder}/devsynthd.service.d/override.conf
StateChangeTimestampMonotonic=719453866
Result=success
MainPID=293
NRestarts=2
ExecMainCode=0
ExecMainStatus=0
MemoryCurrent=46645248
StatusText=12 models = many
"""
LISTENING = """\
LoadState=loaded
ActiveState=active
SubState=listening
UnitFileState=enabled
FragmentPath={folder}/devsynthd.socket
DropInPaths=
Result=success
Listen=/run/user/7/my d.sock (Stream)
"""
UNKNOWN = "LoadState=not-found\nActiveState=inactive\nFragmentPath=\n"


def status(folder: Path, service: str, socket: str = LISTENING) -> ServiceStatus:
    return service_status(
        unit_state("devsynthd.service", service.format(folder=folder)),
        unit_state("devsynthd.socket", socket.format(folder=folder)),
        own=folder,
        linger=False,
        now_s=784.453866,
    )


def test_a_running_service(tmp_path: Path) -> None:
    (tmp_path / "devsynthd.service").write_text(stamped("a"))
    (tmp_path / "devsynthd.socket").write_text("mine")

    text = service_text(structs.replace(status(tmp_path, RUNNING), answers=True))

    assert text.splitlines() == [
        "manager    systemd",
        "installed  yes",
        f"unit       {tmp_path}/devsynthd.service (as installed)",
        f"unit       {tmp_path}/devsynthd.socket (edited by hand)",
        f"drop-in    {tmp_path}/devsynthd.service.d/my own.conf",
        f"drop-in    {tmp_path}/devsynthd.service.d/override.conf",
        "enabled    yes",
        "state      active (running), for 1 min 5 s",
        "socket     /run/user/7/my d.sock",
        "pid        293",
        "memory     47 MB",
        "restarts   2",
        "says       12 models = many",
        "linger     no: it ends when you log out",
        "answers    yes",
    ]


@pytest.mark.parametrize(("exit_status", "tells_why"), [(78, True), (1, False)])
def test_a_service_that_gave_up(tmp_path: Path, exit_status: int, *, tells_why: bool) -> None:
    failed = (
        RUNNING.replace("ActiveState=active", "ActiveState=failed")
        .replace("SubState=running", "SubState=failed")
        .replace("Result=success", "Result=exit-code")
        .replace("ExecMainCode=0", "ExecMainCode=1")
        .replace("ExecMainStatus=0", f"ExecMainStatus={exit_status}")
        .replace("MainPID=293", "MainPID=0")
        .replace("MemoryCurrent=46645248", "MemoryCurrent=[not set]")
    )
    found = status(tmp_path, failed)

    assert (found.running, found.pid, found.memory_bytes) == (False, None, None)
    assert (found.result, found.exit_status) == ("exit-code", exit_status)
    assert (found.status is not None) == tells_why
    assert f"last end   exit-code, exit status {exit_status}" in service_text(found)
    assert "failed (failed), for 1 min 5 s, starts with the first request" in service_text(found)


def test_the_number_of_a_signal_is_no_exit_status(tmp_path: Path) -> None:
    killed = RUNNING.replace("Result=success", "Result=signal").replace(
        "ExecMainCode=0\nExecMainStatus=0", "ExecMainCode=2\nExecMainStatus=9"
    )
    found = status(tmp_path, killed)
    assert (found.exit_status, found.signal) == (None, "SIGKILL")
    assert "last end   signal, SIGKILL" in service_text(found)


def test_a_unit_whose_file_is_gone_was_edited_by_nobody(tmp_path: Path) -> None:
    assert status(tmp_path, RUNNING).files == []


def test_variables_of_the_unit() -> None:
    """As systemd 252 writes them."""
    shown = 'Environment=A=1 "B=two words" C=a=b\nEnvironmentFiles=/e (ignore_errors=no)\n'
    state = unit_state("devsynthd.service", shown)
    assert state.environ == {"A": "1", "B": "two words", "C": "a=b"}
    assert state.has_environ_files
    assert not unit_state("devsynthd.service", "Environment=\nEnvironmentFiles=\n").environ


def test_a_service_that_is_not_there(tmp_path: Path) -> None:
    found = status(tmp_path, UNKNOWN, UNKNOWN)
    assert not found.installed
    assert service_text(found).splitlines()[:2] == ["manager    systemd", "installed  no"]


def test_units_of_a_package_are_told_from_the_users_own(tmp_path: Path) -> None:
    packaged = RUNNING.replace("{folder}/devsynthd.service\n", "/usr/lib/x/devsynthd.service\n")
    assert status(tmp_path, packaged).files[0].state == "packaged"


def test_the_variables_of_the_manager_are_read_with_their_quotes() -> None:
    shown = "HOME=/home/a\nA=$'b c'\nEMPTY=\nB=\"x\"\nBROKEN='\n"
    assert variables(shown) == {"HOME": "/home/a", "A": "b c", "EMPTY": "", "B": "x"}


PRINTED = """\
gui/501/devsynthd = {
\tactive count = 1
\tpath = /Users/a/Library/LaunchAgents/devsynthd.plist
\ttype = LaunchAgent
\tstate = running

\tprogram = /usr/local/bin/devsynthd
\tendpoints = {
\t\tstate = active
\t\tpid = 1
\t}
\truns = 3
\tpid = 4242
\tlast exit code = 78: EX_CONFIG
}
"""


@pytest.mark.parametrize(
    ("shown", "state"),
    [
        (PRINTED, AgentState("running", 4242, 3, 78)),
        ("\tstate = not running\n\truns = 1\n", AgentState("not running", None, 1, None)),
        ("\tlast exit code = (never exited)\n", AgentState("unknown", None, None, None)),
        ("", AgentState("unknown", None, None, None)),
    ],
)
def test_what_launchctl_prints(shown: str, state: AgentState) -> None:
    assert agent_state(shown) == state


def test_variables_of_the_shell_that_a_service_does_not_get() -> None:
    shell = {
        "DEVSYNTH_LLM_MODEL": "a",
        "DEVSYNTH_LLM_API_KEY": "secret",
        "DEVSYNTH_DAEMON_LOG_LEVEL": "",
        "DEVSYNTH_EMBEDDED_ENABLED": "always",
        "DEVSYNTH_SOCKET": "/s",
    }

    warnings = unseen_variables(shell, {"DEVSYNTH_EMBEDDED_ENABLED": "always"})

    assert [each.split()[5] for each in warnings] == ["DEVSYNTH_LLM_API_KEY", "DEVSYNTH_LLM_MODEL"]
    assert warnings[1].endswith("devsynthctl config set llm_model")
    assert "secret" not in "".join(warnings)


INSTALLED = InstallReport(
    manager="systemd", changed=True, unit="/u/d.service", files=[], socket="/s", linger=True
)


def test_what_an_installation_tells() -> None:
    files = [
        FileChange(path="/u/a", change="written"),
        FileChange(path="/u/b", change="updated", diff="-x\n+y\n"),
        FileChange(path="/u/c", change="replaced", diff="-z\n", original="/u/c.orig"),
        FileChange(path="/u/d", change="unchanged"),
    ]
    report = structs.replace(INSTALLED, files=files, sandbox=False, linger=False, warnings=["w"])

    assert installed_text(report) == (
        "wrote /u/a\nupdated /u/b\n-x\n+y\nreplaced /u/c; the old one is /u/c.orig\n-z\n"
    )
    listens, sandbox, linger, warning = installed_notes(report)
    assert listens == "devsynthd runs, and listens at /s"
    assert "user namespaces" in sandbox
    assert "--linger" in linger
    assert warning == "warning: w"


def test_an_installation_that_had_nothing_to_do_says_so() -> None:
    report = structs.replace(INSTALLED, changed=False)
    assert installed_text(report) == "already installed, nothing to do: /u/d.service\n"
    assert installed_notes(report) == []
    assert installed_text(INSTALLED) == "uses /u/d.service\n"


def test_what_an_uninstallation_tells() -> None:
    files = [
        FileChange(path="/u/a", change="removed"),
        FileChange(path="/u/c", change="removed", original="/u/c.orig"),
    ]
    report = UninstallReport(
        manager="systemd", changed=True, files=files, left=["/u/d.d/x.conf"], linger=True
    )

    assert uninstalled_text(report) == "removed /u/a\nset aside /u/c: it is /u/c.orig now\n"
    left, linger, kept = uninstalled_notes(report, ["/c", "/k"])
    assert linger.endswith("loginctl disable-linger")
    assert left == "your drop-in stays: /u/d.d/x.conf"
    assert kept == "settings and cache stay: /c, /k"


def test_an_uninstallation_that_had_nothing_to_do_says_so() -> None:
    report = UninstallReport(manager="systemd", changed=False, files=[])
    assert uninstalled_text(report) == "not installed, nothing to do\n"
    packaged = structs.replace(report, changed=True, packaged="/usr/x")
    assert uninstalled_text(packaged) == "stopped and disabled /usr/x, which belongs to a package\n"
