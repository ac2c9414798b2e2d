"""The units as this machine's systemd reads them; how they do is shown in a booted one."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from devsynthctl.service.shipped import shipped
from devsynthctl.service.units import drop_in, service_unit, socket_unit
from devsynthctl.service.wish import Spec
from devsynthd.settings.schema import Settings
from tests.support.needs import need

EXPOSURE = 2.3
"""The score that the unit has, of 10; it may get better. What is left of it is

- for a user's unit taken for one of root's: 0.4,
- out of reach of a user's manager: ProtectControlGroups=, ProtectProc=, ProcSubset=,
  IPAddressDeny=, SupplementaryGroups=, RootDirectory=,
- what the daemon is for: sockets (AF_UNIX, AF_INET, AF_INET6, no network of its own), models and
  settings in home directories, libzmq's @resources, and fchown,
- ProtectKernelLogs=, as the unit explains.
"""
LOOSE = 9.0
"""What any unit without a sandbox is above."""


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a folder with both units as they are installed, to the longest."""
    scripts = Path(sys.executable).parent
    spec = Spec(
        daemon=(str(scripts / "devsynthd"),),
        ctl=(str(scripts / "devsynthctl"),),
        socket=Path("/run/user/1000/my %s/d.sock"),
        config=Path("/home/a b/$c/config.toml"),
        writable=(Path("/home/a b/$c"),),
    )
    service = service_unit(shipped("systemd", "devsynthd.service"), spec)
    (tmp_path / "devsynthd.service").write_text(service)
    socket = socket_unit(shipped("systemd", "devsynthd.socket"), spec)
    (tmp_path / "devsynthd.socket").write_text(socket)
    return tmp_path


def analyzed(*args: str | Path) -> subprocess.CompletedProcess[str]:
    command = need("systemd-analyze", "apt-get install systemd")
    return subprocess.run(
        [command, "--no-pager", *args], capture_output=True, text=True, check=False, timeout=15
    )


def verified(folder: Path) -> str:
    """Return what systemd complains of, be it an unknown key or a program that is not there."""
    files = [folder / name for name in ("devsynthd.service", "devsynthd.socket")]
    done = analyzed("--user", "--man=no", "verify", *files)
    # It reads the units of the machine too, whose faults are not ours.
    return "\n".join(line for line in done.stderr.splitlines() if "devsynthd" in line)


def exposure(unit: Path) -> float:
    done = analyzed("security", "--offline=true", unit)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stderr
    return float(found[1])


def test_systemd_has_nothing_to_say_against_the_units(units: Path) -> None:
    assert verified(units) == ""


@pytest.mark.parametrize("line", ["RestartPrefentExitStatus=78", "ProtectSystem=strikt"])
def test_systemd_would_say_something_against_a_mistake(units: Path, line: str) -> None:
    unit = units / "devsynthd.service"
    text = unit.read_text().replace("[Service]\n", f"[Service]\n{line}\n")
    unit.write_text(text)
    number = text.splitlines().index(line) + 1
    assert f"devsynthd.service:{number}: " in verified(units)


def test_systemd_would_miss_the_program(units: Path) -> None:
    unit = units / "devsynthd.service"
    text = unit.read_text()
    unit.write_text(re.sub("^ExecStart=.*", "ExecStart=/nowhere", text, flags=re.MULTILINE))
    assert "/nowhere" in verified(units)


def test_the_drop_in_is_read_too(units: Path) -> None:
    folder = units / "devsynthd.service.d"
    folder.mkdir()
    (folder / "50.conf").write_text(drop_in())
    assert verified(units) == ""


def test_the_sandbox_is_as_tight_as_it_is_written_down(units: Path) -> None:
    unit = units / "devsynthd.service"
    # It is what a checkout below /tmp loses.
    unit.write_text(unit.read_text().replace("PrivateTmp=no", "PrivateTmp=yes"))
    assert exposure(units / "devsynthd.service") <= EXPOSURE


def test_without_the_sandbox_the_score_would_be_another(units: Path) -> None:
    unit = units / "devsynthd.service"
    before, _, after = unit.read_text().partition("# The sandbox.")
    unit.write_text(before + after[after.index("\n[Install]") :])
    assert exposure(unit) > LOOSE


def seconds(key: str) -> int:
    found = re.search(rf"^{key}=(\d+)$", shipped("systemd", "devsynthd.service"), re.MULTILINE)
    assert found
    return int(found[1])


def test_the_daemon_has_more_time_to_stop_than_its_grace() -> None:
    assert seconds("TimeoutStopSec") > Settings().daemon_shutdown_grace


def test_it_is_never_given_up_and_is_back_while_clients_try_again() -> None:
    assert seconds("StartLimitIntervalSec") == 0
    assert 1 < seconds("RestartSec") < 10
    socket = shipped("systemd", "devsynthd.socket")
    assert "\nTriggerLimitIntervalSec=0\n" in socket
