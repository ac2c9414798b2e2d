"""Looks at this machine: the socket's file, the config file, who manages services, logs."""

import errno
import os
import socket
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from devsynthctl.doctor import sandbox
from devsynthctl.doctor.daemon_links import SocketFault, SocketSeen
from devsynthctl.knock import knock
from devsynthctl.service.errors import ServiceError
from devsynthctl.service.managers import manager_of
from devsynthctl.service.reports import ServiceStatus
from devsynthctl.service.runner import Runner
from devsynthctl.service.unit_state import assigned, listed
from devsynthd.host.address import Address
from devsynthd.host.paths import config_path, runtime_dir
from devsynthd.host.peer_pid import peer_pid
from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET
from devsynthd.wire.errors import DevsynthError

COMMAND_S = 5.0
"""How long a service manager may take to say how it is."""

SETTLE_S = 8.0
"""How long a service may take to fail: a daemon with bad settings turns requests away for 5 s."""

CONFIG_BYTES = 4096
"""The room that a config file needs: most take a block."""

_STARTING = "activating (start)"
_LOOK_S = 0.2

_FAULTS: dict[int, SocketFault] = {
    errno.ENOENT: "missing",
    errno.ENOTDIR: "missing",
    errno.ENOTSOCK: "not_a_socket",
    errno.EPROTOTYPE: "not_a_socket",
    errno.EACCES: "foreign",
    errno.EPERM: "foreign",
}


def look_at_socket(address: Address, *, knocks: bool = True) -> SocketSeen:
    """Knock at the socket, and see whose it is.

    Unless one *knocks*, somebody is known to listen: a manager would start the daemon for that.
    """
    path = address.path
    folder, file = _stat(path.parent), _stat(path)
    knocks = knocks or file is None or not stat.S_ISSOCK(file.st_mode)
    fault, reason = _knock(address) if knocks else (None, "")
    return SocketSeen(
        path=str(path),
        folder=str(path.parent),
        fault=fault,
        reason=reason,
        uid=os.geteuid(),
        folder_uid=folder.st_uid if folder else None,
        folder_mode=folder.st_mode if folder else None,
        mode=file.st_mode if file else None,
    )


def _knock(address: Address) -> tuple[SocketFault | None, str]:
    try:
        if wire := knock(address, ""):  # a door that is crowded is a door, too
            wire.close()
    except DevsynthError as exc:
        cause = exc.__cause__
        code = cause.errno if isinstance(cause, OSError) else None
        reason = (cause.strerror if isinstance(cause, OSError) else None) or str(exc)
        if code == errno.ECONNREFUSED:  # Linux says so of a file that is no socket, too
            return ("leftover" if address.path.is_socket() else "not_a_socket"), reason
        return _FAULTS.get(code or 0, "unusable"), reason
    return None, ""


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None


def full_disk(path: Path) -> str | None:
    """Return a folder on the disk that *path* is saved on if it has no room for that, else null.

    Disks that cannot be written to at all are another matter.
    """
    folder = _saved_in(path)
    try:
        disk = os.statvfs(folder)
    except OSError:
        return None
    if disk.f_flag & os.ST_RDONLY:
        return None
    free = disk.f_bfree if os.geteuid() == 0 else disk.f_bavail  # root has the last blocks, too
    free_files = disk.f_ffree if os.geteuid() == 0 else disk.f_favail
    # A file system that does not count them says zero for all.
    is_full = disk.f_blocks > 0 and free * disk.f_frsize < CONFIG_BYTES
    has_no_names = disk.f_files > 0 and free_files == 0
    return str(folder) if is_full or has_no_names else None


def locked_folder(path: Path) -> str | None:
    """Return the folder that *path* is saved in if this user may not write to it, else null."""
    folder = _saved_in(path)
    return None if os.access(folder, os.W_OK) else str(folder)


def _saved_in(path: Path) -> Path:
    """Return the folder that *path* is saved in, or of those above it the first that exists."""
    return next(filter(os.path.isdir, Path(os.path.realpath(path)).parents), Path("/"))


def listener_of(path: Path) -> int | None:
    """Return the pid of the process that listens at *path*; null where that cannot be told."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            knock.connect(os.fspath(path))
            return peer_pid(knock)
        except OSError:
            return None


def is_service_manager(pid: int) -> bool:
    """Return whether *pid* is systemd, which listens for a daemon that it starts: spare it."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").startswith("systemd")
    except (OSError, UnicodeDecodeError):
        return pid == 1


def is_suspended(pid: int) -> bool:
    """Return whether the process *pid* is stopped, as by Ctrl-Z; false where that is not told."""
    try:
        status = Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return False
    return b"\nState:\tT" in status


def look_at_service(environ: Mapping[str, str]) -> ServiceStatus | None:
    """Ask the service manager of this user how the daemon's service is; null: there is none."""
    try:
        return manager_of(sys.platform, environ, _unused).status()
    except DevsynthError:  # NoManager, or one that does not answer
        return None


def look_at_settled_service(environ: Mapping[str, str]) -> ServiceStatus | None:
    """Ask likewise, once the daemon that is being started has come up or failed."""
    deadline = time.monotonic() + SETTLE_S
    seen = look_at_service(environ)
    while seen and seen.state == _STARTING and time.monotonic() < deadline:
        # systemctl can wait for the end of a job, but of none that others began.
        time.sleep(_LOOK_S)
        seen = look_at_service(environ)
    return seen


def config_of_service(environ: Mapping[str, str]) -> Path | None:
    """Return the config file of the user's service; null where that cannot be told."""
    try:
        manager = manager_of(sys.platform, environ, _unused)
        return manager.told().config or config_path(None, manager.environ())
    except DevsynthError:
        return None


def _unused(_line: str) -> None:
    """Take a line of a log, which nobody asks for here."""


def sandbox_of_service(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the settings of the service's sandbox that `may_write` looks at."""
    return _shown(SYSTEMD_SERVICE, sandbox.PROPERTIES, environ)


def variables_of_service(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that stand in the units of the service."""
    return assigned(_shown(SYSTEMD_SERVICE, ("Environment",), environ).get("Environment", ""))


def is_stale(environ: Mapping[str, str]) -> bool:
    """Return whether the files of the service have changed since systemd read them."""
    units = (SYSTEMD_SERVICE, SYSTEMD_SOCKET)
    asked = ("NeedDaemonReload",)
    return any(_shown(unit, asked, environ).get(asked[0]) == "yes" for unit in units)


def _shown(unit: str, names: Sequence[str], environ: Mapping[str, str]) -> dict[str, str]:
    """Return the properties *names* of *unit*; none of them if systemd does not answer."""
    command = ["systemctl", "--user", "show", unit, f"--property={','.join(names)}"]
    # After `su` it is not set, but the manager may well be there.
    own = {"XDG_RUNTIME_DIR": str(runtime_dir(environ, os.getuid()))}
    return listed(output_of(command, {**environ, **own}) or "")


def output_of(command: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return what *command* prints; null if it is not there, fails, or takes too long."""
    try:
        done = Runner(environ).run(command, COMMAND_S)
    except ServiceError:
        return None
    return done.stdout if done.status == 0 else None


def lmstudio_port(home: Path) -> int | None:
    """Return the port that LM Studio last used, by its own notes below *home*; null: none there.

    Source: findLMStudioHome and the server's configuration in LM Studio's own command line.
    """
    pointer, cache = home / ".lmstudio-home-pointer", home / ".cache" / "lm-studio"
    folder = cache if cache.is_dir() else home / ".lmstudio"
    try:
        if pointer.is_file():
            folder = Path(pointer.read_text(encoding="utf-8").strip())
        data = (folder / ".internal" / "http-server-config.json").read_bytes()
        return msgspec.json.decode(data, type=_ServerConfig).port
    except (OSError, ValueError):  # msgspec's errors are ValueErrors, and so is bad UTF-8
        return None


class _ServerConfig(msgspec.Struct):
    port: int
