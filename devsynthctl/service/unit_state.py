"""What ``systemctl show`` says of a unit. Pure, but for looking whose files they are."""

import re
import shlex
import signal
from pathlib import Path

from msgspec import Struct

from devsynthctl.exits import EXIT_STATUS
from devsynthctl.service.marks import is_ours
from devsynthctl.service.placing import read
from devsynthctl.service.reports import ServiceStatus, UnitFile

PROPERTIES = (
    "LoadState",
    "ActiveState",
    "SubState",
    "UnitFileState",
    "FragmentPath",
    "DropInPaths",
    "NeedDaemonReload",
    "StateChangeTimestampMonotonic",
    "ActiveEnterTimestampMonotonic",
    "Result",
    "MainPID",
    "NRestarts",
    "ExecMainCode",
    "ExecMainStatus",
    "MemoryCurrent",
    "StatusText",
    "Listen",
    "Environment",
    "EnvironmentFiles",
)
"""What is asked of a unit."""

_LISTEN = re.compile(r"(/.*) \(Stream\)")
_CLD_EXITED = "1"  # waitid(2): what ended otherwise has the number of a signal for a status
_CLD_SIGNALLED = ("2", "3")  # killed, dumped


class UnitState(Struct, frozen=True, kw_only=True):
    """How a unit is, in the words of systemd; null is what it does not tell.

    *is_stale*: its files have changed since systemd read them. *changed_s* and *active_since_s* are
    of CLOCK_MONOTONIC. *signal* is the name of the one that ended it. *listens_at* is the path of a
    socket. *environ* are variables of the unit's own; *has_environ_files*: there are more in files.
    """

    name: str
    load: str
    active: str
    sub: str
    enabled: str
    fragment: str
    drop_ins: tuple[str, ...]
    is_stale: bool
    changed_s: float | None
    active_since_s: float | None
    result: str
    pid: int | None
    restarts: int | None
    exit_status: int | None
    memory_bytes: int | None
    signal: str | None
    text: str
    listens_at: Path | None
    environ: dict[str, str]
    has_environ_files: bool

    @property
    def is_known(self) -> bool:
        """Whether there is such a unit."""
        return self.load not in ("not-found", "")

    @property
    def is_up(self) -> bool:
        """Whether it runs or listens, or is about to."""
        return self.active in ("active", "activating", "reloading")

    @property
    def has_failed(self) -> bool:
        """Whether it has ended in a way that it should not."""
        return self.active == "failed"

    @property
    def is_enabled(self) -> bool:
        """Whether it starts by itself."""
        return self.enabled in ("enabled", "enabled-runtime")

    def is_packaged(self, own: Path) -> bool:
        """Return whether its file is not in *own*, the folder of the user's own units."""
        return bool(self.fragment) and not Path(self.fragment).is_relative_to(own)


def unit_state(name: str, shown: str) -> UnitState:
    """Return the state of the unit *name* in what ``systemctl show`` has *shown*."""
    values = listed(shown)
    exited = values.get("ExecMainCode") == _CLD_EXITED
    result = values.get("Result", "")
    listen = _LISTEN.fullmatch(values.get("Listen", ""))
    return UnitState(
        name=name,
        load=values.get("LoadState", ""),
        active=values.get("ActiveState", ""),
        sub=values.get("SubState", ""),
        enabled=values.get("UnitFileState", ""),
        fragment=values.get("FragmentPath", ""),
        drop_ins=tuple(filter(None, re.split(r" (?=/)", values.get("DropInPaths", "")))),
        is_stale=values.get("NeedDaemonReload") == "yes",
        changed_s=_seconds(values.get("StateChangeTimestampMonotonic", "")),
        active_since_s=_seconds(values.get("ActiveEnterTimestampMonotonic", "")),
        result="" if result == "success" else result,
        pid=_count(values.get("MainPID", "")) or None,
        restarts=_count(values.get("NRestarts", "")),
        exit_status=_count(values.get("ExecMainStatus", "")) if exited else None,
        memory_bytes=_count(values.get("MemoryCurrent", "")),
        signal=_signal(values.get("ExecMainCode", ""), values.get("ExecMainStatus", "")),
        text=values.get("StatusText", ""),
        listens_at=Path(listen[1]) if listen else None,
        environ=assigned(values.get("Environment", "")),
        has_environ_files=bool(values.get("EnvironmentFiles")),
    )


def service_status(
    service: UnitState, socket: UnitState, *, own: Path, linger: bool | None, now_s: float
) -> ServiceStatus:
    """Return how both together are, at *now_s* of CLOCK_MONOTONIC.

    *own* is the folder of the user's own units.
    """
    if not service.is_known:
        return ServiceStatus(manager="systemd", installed=False, linger=linger)
    is_running = service.active in ("active", "reloading")
    # What was said last stays when it ends; it is the reason where the settings were.
    tells = is_running or (service.result and service.exit_status == EXIT_STATUS["config_invalid"])
    fragments = [each.fragment for each in (service, socket) if each.fragment]
    return ServiceStatus(
        manager="systemd",
        installed=True,
        running=is_running,
        listening=socket.is_up,
        state=f"{service.active} ({service.sub})",
        socket=None if socket.listens_at is None else str(socket.listens_at),
        enabled=service.is_enabled and socket.is_enabled,
        files=[file for path in fragments if (file := _unit_file(path, own))],
        drop_ins=[*service.drop_ins, *socket.drop_ins],
        for_s=None if service.changed_s is None else max(0.0, now_s - service.changed_s),
        pid=service.pid,
        memory_bytes=service.memory_bytes,
        restarts=service.restarts,
        result=service.result or socket.result or None,
        exit_status=service.exit_status if service.result else None,
        signal=service.signal if service.result else None,
        status=service.text or None if tells else None,
        linger=linger,
    )


def listed(shown: str) -> dict[str, str]:
    """Return the ``NAME=value`` lines in *shown*."""
    return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)


def variables(shown: str) -> dict[str, str]:
    """Return the variables that ``systemctl show-environment`` has *shown*, quoted for a shell."""
    found = {}
    for name, value in listed(shown).items():
        try:
            words = shlex.split(value.removeprefix("$"))  # $'...', with escapes that stay
        except ValueError:
            continue
        found[name] = words[0] if words else ""
    return found


def _unit_file(path: str, own: Path) -> UnitFile | None:
    """Return whose the file is; null if it is gone, which systemd learns when it reads anew."""
    file = Path(path)
    if not file.is_relative_to(own):
        return UnitFile(path=path, state="packaged")
    content = read(file)
    if content is None:
        return None
    return UnitFile(path=path, state="ours" if is_ours(content) else "edited")


def assigned(text: str) -> dict[str, str]:
    """Return the variables in *text*, ``NAME=value`` words that are quoted if need be."""
    try:
        words = shlex.split(text)
    except ValueError:
        return {}
    return dict(word.split("=", 1) for word in words if "=" in word)


def _signal(code: str, status: str) -> str | None:
    """Return the name of the signal that ended a process; null: none did."""
    number = _count(status)
    if code not in _CLD_SIGNALLED or not number:
        return None
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _seconds(text: str) -> float | None:
    """Return the point of time in *text*, in microseconds; null if it is not set."""
    us = _count(text)
    return us / 1e6 if us else None


def _count(text: str) -> int | None:
    """Return the number in *text*; null for one that is not set."""
    if not text.isdecimal() or int(text) >= 2**64 - 1:
        return None
    return int(text)
