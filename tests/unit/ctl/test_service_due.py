"""What is due depends on what is in force, not on what an installation has just written."""

from collections.abc import Mapping

import pytest

from devsynthctl.service.due import Due, due
from devsynthctl.service.unit_state import UnitState, unit_state

UP = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n"
SERVICE, SOCKET, DROP_IN = "devsynthd.service", "devsynthd.socket", "50.conf"
SINCE = "ActiveEnterTimestampMonotonic=7000000\n"
DOWN = UP.replace("=active", "=failed")
NOTHING = set[str]()


def what(
    service: str = UP + SINCE,
    socket: str = UP + SINCE,
    changed: set[str] = NOTHING,
    *,
    is_deaf: bool = False,
    written_s: Mapping[str, float] | None = None,
) -> set[str]:
    """Return what is due, by name."""
    states: list[UnitState] = [unit_state(SERVICE, service), unit_state(SOCKET, socket)]
    times = {SERVICE: 6.9, SOCKET: 6.9, **(written_s or {})}
    found: Due = due(*states, changed=changed, written_s=times, is_deaf=is_deaf)
    steps = {name for name in found.__struct_fields__ if getattr(found, name)}
    assert found.is_any == bool(steps)
    return steps


def test_nothing_where_all_is_as_it_should_be() -> None:
    assert what() == set()
    assert what(service=UP, socket=UP) == set()  # systemd does not tell since when


@pytest.mark.parametrize(
    ("changed", "steps"),
    [
        ({SERVICE}, {"read_anew", "restart"}),
        ({DROP_IN}, {"read_anew", "restart"}),
        ({SOCKET}, {"read_anew", "listen_anew"}),
        ({SOCKET, SERVICE}, {"read_anew", "listen_anew", "restart"}),
    ],
)
def test_after_a_change(changed: set[str], steps: set[str]) -> None:
    assert what(changed=changed) == steps


def test_after_a_change_that_systemd_has_not_read() -> None:
    stale = UP + SINCE + "NeedDaemonReload=yes\n"
    assert what(service=stale) == {"read_anew", "restart"}
    assert what(socket=stale) == {"read_anew", "listen_anew"}


def test_after_a_change_that_came_while_it_ran() -> None:
    assert what(written_s={DROP_IN: 7.1}) == {"restart"}
    assert what(written_s={SERVICE: 7.1}) == {"restart"}
    assert what(written_s={SOCKET: 7.1}) == {"listen_anew"}


def test_what_does_not_run_is_started_and_not_restarted() -> None:
    assert what(service=DOWN, changed={SERVICE}) == {"read_anew", "start"}
    assert what(socket=DOWN, changed={SOCKET}) == {"read_anew", "start"}
    assert what(service=UP.replace("=enabled", "=disabled")) == {"enable"}


def test_a_socket_that_nobody_finds_is_made_anew() -> None:
    assert what(is_deaf=True) == {"listen_anew"}
