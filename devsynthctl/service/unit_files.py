"""The files of a systemd service: those that are wanted, and those that are there."""

from pathlib import Path

from devsynthctl.service import units
from devsynthctl.service.marks import stamped
from devsynthctl.service.placing import Planned, plan, read
from devsynthctl.service.shipped import shipped
from devsynthctl.service.systemctl import Surroundings
from devsynthctl.service.unit_state import UnitState
from devsynthctl.service.wish import Spec
from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET


def unit_text(around: Surroundings, service: UnitState) -> str:
    """Return the unit that is in force; empty if there is none."""
    text = read(around.units / SYSTEMD_SERVICE)
    if text is None and service.fragment:
        text = read(Path(service.fragment))
    return text or ""


def planned(spec: Spec, around: Surroundings, *, sandbox: bool | None) -> list[Planned]:
    """Return the files that run *spec*, and how they are now."""
    service = units.service_unit(shipped("systemd", SYSTEMD_SERVICE), spec)
    wanted = {
        around.units / SYSTEMD_SERVICE: stamped(service),
        around.units / SYSTEMD_SOCKET: stamped(
            units.socket_unit(shipped("systemd", SYSTEMD_SOCKET), spec)
        ),
    }
    # Where it could not be tried, what was found out before holds.
    if sandbox is False or (sandbox is None and drop_in(around).exists()):
        wanted[drop_in(around)] = stamped(units.drop_in())
    return plan(wanted)


def packaged(planned: list[Planned], around: Surroundings, service: UnitState) -> str | None:
    """Return the unit of a package if there is one, and it runs the same as *planned*."""
    if not service.is_packaged(around.units):
        return None
    theirs = units.exec_start(read(Path(service.fragment)) or "")
    return service.fragment if theirs == units.exec_start(planned[0].wanted) else None


def drop_in(around: Surroundings) -> Path:
    """Return the path of our own drop-in, where it is needed."""
    return around.units / f"{SYSTEMD_SERVICE}.d" / units.DROP_IN
