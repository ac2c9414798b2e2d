"""Connects to a daemon's socket, or finds out at once why that cannot be."""

import errno
import os
import shlex
import socket
from contextlib import suppress
from pathlib import Path

from devsynthctl.errors import DaemonUnreachable
from devsynthd.host.address import Address, socket_address
from devsynthd.host.service_names import LAUNCHD_LABEL, SYSTEMD_SERVICE
from devsynthd.wire.errors import ConfigInvalid, DevsynthError, Forbidden

_USUAL = "devsynthd"  # the daemon at the place where everybody looks for it
_AGENT = f"{LAUNCHD_LABEL}.plist"


def start_command(given: str | None) -> str:
    """Return what a person starts the daemon with whose socket was *given*; null: none was."""
    return _USUAL if given is None else f"devsynthd --socket {shlex.quote(given)}"


def knock(address: Address, command: str) -> socket.socket | None:
    """Return a socket that is connected to whoever listens, and never waits; to be closed.

    Null if the door is there but too many others wait at it. *command* is what a person would
    start that daemon with, for the error.

    Raises:
        DaemonUnreachable: Nobody listens there, and why.
        Forbidden: The socket is another user's.
    """
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        wire.setblocking(False)  # noqa: FBT003 - its only argument
        wire.connect(os.fspath(address.path))
    except BlockingIOError:
        wire.close()
        return None
    except OSError as exc:
        wire.close()
        raise _unreachable(address, exc, command) from exc
    return wire


def _started_by(command: str, path: Path) -> str:
    """Return what a person types to start the daemon at *path*: if it is installed, the service."""
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config")
    files = (config / "systemd/user" / SYSTEMD_SERVICE, Path("~/Library/LaunchAgents", _AGENT))
    with suppress(OSError, RuntimeError, ConfigInvalid):  # RuntimeError: there is no home
        units = [each for file in files if (each := file.expanduser()).exists()]
        # A service that was installed for another socket than the usual one has it in its file.
        usual = socket_address(None, {**os.environ, "DEVSYNTH_SOCKET": ""}).path
        is_its = path == usual or any(
            str(path) in unit.read_text(errors="replace") for unit in units
        )
        if command == _USUAL and units and is_its:
            return "devsynthctl service start"
    return f"{command} &"


def _unreachable(address: Address, exc: OSError, command: str) -> DevsynthError:
    start = f"start the daemon: {_started_by(command, address.path)}"
    match exc.errno:
        case errno.ENOENT:
            reason, hint = f"there is no socket at {address.path}", start
        case errno.ECONNREFUSED if address.path.is_socket():
            reason, hint = f"the daemon that listened at {address.path} is gone", start
        case errno.ECONNREFUSED | errno.ENOTSOCK | errno.ENOTDIR | errno.EPROTOTYPE:
            reason = f"{address.path} is not a socket that can be connected to"
            hint = "check --socket and DEVSYNTH_SOCKET"
        case errno.EACCES | errno.EPERM:
            return Forbidden(
                f"{address.path} belongs to another user",
                hint="each user runs a daemon of their own; check --socket and DEVSYNTH_SOCKET",
            )
        case _:
            reason = f"{address.path}: {exc.strerror or exc}"
            hint = "check --socket and DEVSYNTH_SOCKET"
    return DaemonUnreachable(f"devsynthd is not reachable: {reason}", hint=hint)
