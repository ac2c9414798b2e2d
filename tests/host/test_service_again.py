"""A service that is installed again: elsewhere, from another shell, and after a failure halfway."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET
from tests.support.installed import Installed, installed_for_user

pytestmark = pytest.mark.timeout(60)

FAILING = """\
#!/bin/sh
case "$*" in "--user {words}"*) echo "Connection timed out" >&2; exit 1 ;; esac
exec /usr/bin/systemctl "$@"
"""
SOCKET = "run/d.sock"


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Installed]:
    """Return the user, whose service has a socket and a file of its own."""
    with installed_for_user(wheel) as installed:
        installed.typed("mkdir -m 700 run own")
        installed.typed("DEVSYNTH_SOCKET=$HOME/run/d.sock devsynthctl service install")
        yield installed


def socket_of(installed: Installed) -> str:
    return str(installed.user.home / SOCKET)


def status(installed: Installed) -> dict[str, Any]:
    """Return how the service is, by a shell that does not know its socket."""
    found: dict[str, Any] = json.loads(installed.told("devsynthctl", "--json", "service", "status"))
    return found


def failing_at(installed: Installed, words: str, line: str) -> str:
    """Return what *line* says, typed where ``systemctl`` fails when it is told *words*."""
    installed.write("failing/systemctl", FAILING.format(words=words))
    installed.typed("chmod +x failing/systemctl")
    return installed.typed(f"! PATH=$HOME/failing:$PATH {line} 2>&1")


def command_of_the_daemon(installed: Installed) -> str:
    pid = status(installed)["pid"]
    return installed.told("sh", "-c", f"tr '\\0' ' ' </proc/{pid}/cmdline").strip()


def test_any_shell_looks_after_it(installed: Installed) -> None:
    before = status(installed)
    assert (before["socket"], before["answers"]) == (socket_of(installed), True)

    installed.typed("devsynthctl service restart")

    assert status(installed)["pid"] != before["pid"]
    installed.typed("devsynthctl service start")


def test_it_stays_where_it_is(installed: Installed) -> None:
    said = installed.typed("devsynthctl service install 2>&1")

    assert said.startswith("already installed")
    assert f"keeps --socket {socket_of(installed)}" in said
    assert status(installed)["socket"] == socket_of(installed)


def test_an_installation_that_systemd_did_not_read_is_finished_the_next_time(
    installed: Installed,
) -> None:
    line = "devsynthctl service install --config own/a.toml"
    assert "Connection timed out" in failing_at(installed, "daemon-reload", line)

    assert not installed.typed(line).startswith("already installed")

    assert command_of_the_daemon(installed).endswith(f"--config {installed.user.home}/own/a.toml")
    assert installed.typed(line).startswith("already installed")


def test_a_daemon_that_was_not_restarted_is_the_next_time(installed: Installed) -> None:
    line = "devsynthctl service install --config own/b.toml"
    failing_at(installed, "restart", line)

    assert not installed.typed(line).startswith("already installed")

    assert command_of_the_daemon(installed).endswith("own/b.toml")
    assert installed.typed(line).startswith("already installed")


def test_a_socket_that_was_not_closed_is_moved_the_next_time(installed: Installed) -> None:
    usual = f"{installed.user.environ['XDG_RUNTIME_DIR']}/devsynth/devsynthd.sock"
    line = f"devsynthctl --socket {usual} service install"
    failing_at(installed, "stop", line)

    assert not installed.typed(line).startswith("already installed")

    assert status(installed)["socket"] == usual
    assert installed.told("devsynthctl", "ping").startswith("pong")
    assert installed.typed(line).startswith("already installed")


def test_a_failed_socket_is_started_by_whoever_asks_for_it(installed: Installed) -> None:
    """As many starts as systemd allows of a unit, and one more."""
    installed.typed(
        "for i in 1 2 3 4 5 6; do systemctl --user stop $1.socket $1.service; "
        "systemctl --user start $1.socket || exit 0; done; exit 1".replace("$1", "devsynthd")
    )

    installed.typed("devsynthctl service start")

    states = installed.run("systemctl", "--user", "is-active", SYSTEMD_SERVICE, SYSTEMD_SOCKET)
    assert states.stdout.split() == ["active", "active"]
