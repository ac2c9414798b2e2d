"""A user does what README's section "Run it as a service" says, line by line, and it is so."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET
from tests.host.service import CONFIG, UNITS, Service, service_of_a_user
from tests.support.installed import CHECKOUT
from tests.support.needs import need

pytestmark = pytest.mark.timeout(60)

EDITOR = """\
#!/bin/sh
printf '[Service]\\nEnvironment=DEVSYNTH_LLM_MAX_TOKENS=17\\n' >"$1"
"""


def lines_of_the_page() -> list[str]:
    """Return the commands of the section, without their comments."""
    page = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    section = page.partition("\n## Run it as a service\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return [line.partition(" #")[0].rstrip() for line in "".join(blocks).splitlines()]


@pytest.fixture(scope="module")
def service(wheel: Path) -> Iterator[Service]:
    need("pkaction", "apt-get install polkitd")
    with service_of_a_user(wheel) as service:
        service.write(CONFIG, "# mine\n")
        service.write("editor", EDITOR)
        service.told("chmod", "+x", str(service.user.home / "editor"))
        yield service


def installed(service: Service, said: str) -> None:
    assert str(UNITS / SYSTEMD_SERVICE) in said
    assert service.states() == ("active", "active")
    for unit in (SYSTEMD_SERVICE, SYSTEMD_SOCKET):
        assert service.show("UnitFileState", unit=unit) == {"UnitFileState": "enabled"}
    # It is active only since it has answered; what it says then is what it knows.
    assert service.show("StatusText")["StatusText"].startswith("LM Studio at http://localhost:1234")
    assert service.ping() == service.pid


def lingers(service: Service, _: str) -> None:
    """Begin anew as a boot does, and see that the daemon comes with nobody logged in."""
    uid, logins = service.user.uid, "systemd-logind.service"
    for command in (
        ["systemctl", "stop", f"user@{uid}.service", f"user-runtime-dir@{uid}.service", logins],
        ["rm", "--force", f"/run/systemd/users/{uid}"],
        ["systemctl", "start", logins],
    ):
        service.box.run(command).check_returncode()
    service.told("devsynthctl", "ping", "--wait", "30")
    service.told("systemctl", "--user", "start", SYSTEMD_SERVICE)  # waits until that is done
    assert service.states() == ("active", "active")


def shows_that_it_runs(service: Service, said: str) -> None:
    assert str(service.pid) in said
    assert "LM Studio at http://localhost:1234" in said


def answered(_: Service, said: str) -> None:
    assert said == "You said: Are you there?\n"


def showed_the_log(_: Service, said: str) -> None:
    assert "op=generate" in said


def stopped(service: Service, _: str) -> None:
    assert service.states() == ("inactive", "inactive")
    done = service.run("devsynthctl", "models")
    assert done.returncode == 3
    assert "devsynthctl service start" in done.stderr
    assert service.states() == ("inactive", "inactive")


def runs(service: Service, _: str) -> None:
    assert service.states() == ("active", "active")
    assert service.ping() == service.pid
    if (service.home / UNITS / f"{SYSTEMD_SERVICE}.d/override.conf").exists():
        assert service.told("devsynthctl", "config", "get", "llm_max_tokens") == "17\n"


def left_nothing(service: Service, _: str) -> None:
    assert service.states() == ("inactive", "inactive")
    assert not service.socket.exists()
    units = service.home / UNITS
    left = [str(path.relative_to(units)) for path in units.rglob("*") if not path.is_dir()]
    assert left == [f"{SYSTEMD_SERVICE}.d/override.conf"]  # the user's own
    assert "devsynthd" not in service.told("sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert (service.home / CONFIG).read_text() == "# mine\n"


CHECKS: Mapping[str, Callable[[Service, str], None]] = {
    "devsynthctl service install": installed,
    "devsynthctl service install --linger": lingers,
    "devsynthctl service status": shows_that_it_runs,
    'devsynthctl generate "Are you there?"': answered,
    "devsynthctl service logs -n 20": showed_the_log,
    "devsynthctl service stop": stopped,
    "devsynthctl service start": runs,
    "devsynthctl service restart": runs,
    "devsynthctl service uninstall": left_nothing,
}


def test_what_is_checked_stands_on_the_page() -> None:
    assert set(CHECKS) <= set(lines_of_the_page())


@pytest.mark.parametrize("line", lines_of_the_page())
def test_a_user_follows_the_page(service: Service, line: str) -> None:
    before = service.pid if "restart" in line else 0
    if "edit" in line:  # it asks for a terminal
        line = f"SYSTEMD_EDITOR=$HOME/editor script --quiet --return --command '{line}' /dev/null"

    said = service.typed(line)

    if check := CHECKS.get(line):
        check(service, said)
    assert service.pid != before or not before


def test_what_is_gone_can_be_uninstalled_again(service: Service) -> None:
    service.typed("devsynthctl service uninstall")


def test_what_was_uninstalled_can_be_installed_again(service: Service) -> None:
    service.typed("devsynthctl service install")

    assert service.told("devsynthctl", "config", "get", "llm_max_tokens") == "17\n"
