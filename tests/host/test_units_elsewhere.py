"""Machines that are not as most are: one that forbids user namespaces, one with units of a package.

Both are told apart by what their real systemd does.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthctl.service.shipped import shipped
from devsynthctl.service.units import DROP_IN
from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET
from tests.host.service import UNITS
from tests.support.installed import Installed, installed_for_user

pytestmark = pytest.mark.timeout(60)

# The user's manager and all that it starts are under this filter.
FORBID = """\
mkdir -p "/etc/systemd/system/user@.service.d"
printf '[Service]\\nRestrictNamespaces=~user\\n' >"/etc/systemd/system/user@.service.d/forbid.conf"
systemctl daemon-reload
systemctl restart "user@$1.service"
"""
ALLOW = """\
rm -r "/etc/systemd/system/user@.service.d"
systemctl daemon-reload
systemctl restart "user@$1.service"
"""


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Installed]:
    with installed_for_user(wheel) as installed:
        yield installed


def as_root(installed: Installed, script: str) -> None:
    installed.box.run(["sh", "-ec", script, "sh", str(installed.user.uid)]).check_returncode()


def service(installed: Installed, command: str) -> dict[str, Any]:
    """Return what ``devsynthctl service`` tells as JSON."""
    told: dict[str, Any] = json.loads(installed.told("devsynthctl", "--json", "service", command))
    return told


def test_without_user_namespaces_it_runs_with_what_is_left_of_the_sandbox(
    installed: Installed,
) -> None:
    drop_in = str(installed.user.home / UNITS / f"{SYSTEMD_SERVICE}.d" / DROP_IN)
    as_root(installed, FORBID)
    try:
        report = service(installed, "install")
        assert report["sandbox"] is False
        assert report["files"][-1]["path"] == drop_in
        status = service(installed, "status")  # it runs and answers, else it would fail
        assert status["drop_ins"] == [drop_in]
        process = f"/proc/{status['pid']}/status"
        limits = installed.told("grep", "-E", "^(Seccomp|NoNewPrivs):", process)
        assert limits.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"]
        assert service(installed, "install")["changed"] is False
    finally:
        as_root(installed, ALLOW)

    report = service(installed, "install")
    assert (report["sandbox"], report["files"][-1]["change"]) == (True, "removed")
    assert service(installed, "status")["drop_ins"] == []
    assert service(installed, "uninstall")["changed"] is True


def test_units_of_a_package_are_used_as_they_are(installed: Installed) -> None:
    ours = installed.user.programs
    for name in (SYSTEMD_SERVICE, SYSTEMD_SOCKET):
        text = shipped("systemd", name).replace("/usr/bin/", f"{ours}/")
        put = ["sh", "-ec", 'printf %s "$2" >"/usr/lib/systemd/user/$1"', "sh", name, text]
        installed.box.run(put).check_returncode()
    installed.told("systemctl", "--user", "daemon-reload")

    report = service(installed, "install")
    assert (report["unit"], report["files"]) == (f"/usr/lib/systemd/user/{SYSTEMD_SERVICE}", [])
    status = service(installed, "status")
    assert {each["state"] for each in status["files"]} == {"packaged"}
    assert service(installed, "install")["changed"] is False

    report = service(installed, "uninstall")
    assert (report["packaged"], report["files"]) == (
        f"/usr/lib/systemd/user/{SYSTEMD_SERVICE}",
        [],
    )
    states = installed.run("systemctl", "--user", "is-active", SYSTEMD_SERVICE, SYSTEMD_SOCKET)
    assert states.stdout.split() == ["inactive", "inactive"]
    assert service(installed, "uninstall")["changed"] is False
