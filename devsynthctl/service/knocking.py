"""Whether a daemon that was started by hand is in the way of the one that is a service."""

import fcntl
import os
import shlex
import socket
import time
from pathlib import Path

from msgspec import Struct

from devsynthctl.errors import ConnectionLost, DaemonUnreachable
from devsynthctl.service.errors import ServiceError
from devsynthd.host.address import socket_address
from devsynthd.host.peer_pid import peer_pid
from devsynthd.host.service_names import SYSTEMD_SERVICE
from devsynthd.wire.errors import ConfigInvalid, DevsynthError, ShuttingDown

DRAIN_LIMIT_S = 30.0
"""How long a daemon that is ending already may take to finish what it was asked."""

_LIMIT_S = 1.0
_LOOK_S = 0.1
_PLACE = 4  # of device and inode, behind the number of a lock; before it is the pid
_UNTOLD = 0  # in place of a pid


class Other(Struct, frozen=True):
    """A daemon that is not the service's. *pid* null: unknown. *is_heard*: it has the socket."""

    pid: int | None
    is_heard: bool


def refuse_other_daemon(
    path: Path, own: int | None, command: str, *, is_up: bool, limit_s: float = DRAIN_LIMIT_S
) -> None:
    """Make sure that no daemon but the service's, of pid *own*, has or holds the socket *path*.

    One that is ending is waited for, *limit_s* seconds. *command* is what was asked for, to be done
    again once the way is free. *is_up*: who listens there does so for the service.

    Raises:
        ServiceError: There is one, and how to end it.
    """
    other = other_daemon(path, own, is_up=is_up)
    if other is None:
        return
    is_ending = other.is_heard and _is_ending(path)
    deadline = time.monotonic() + (limit_s if is_ending else 0)
    while time.monotonic() < deadline:
        time.sleep(_LOOK_S)  # nobody tells when a lock is let go, but to who waits without an end
        if other_daemon(path, own, is_up=is_up) is None:
            return
    raise ServiceError(_said(other, path, is_ending), hint=_hint(other, path, command, is_ending))


def other_daemon(path: Path, own: int | None, *, is_up: bool) -> Other | None:
    """Return the daemon that has the socket *path* and is not the service's; null: there is none.

    It is asked of its lock; only if that is not told apart, or nothing of the service *is_up*, is
    the socket knocked at, since that has a service manager start the daemon.
    """
    holder = _holder(path)
    if holder is not None:
        if holder and (holder == own or _is_the_services(holder)):
            return None
        listener = _listener(path)
        is_heard = listener is not None and listener in (holder, _UNTOLD)
        return Other(holder or None, is_heard=is_heard)
    if is_up or (listener := _listener(path)) is None:
        return None
    return Other(_noted(path) or listener or None, is_heard=True)


def _said(other: Other, path: Path, is_ending: bool) -> str:  # noqa: FBT001 - of two, for one text
    who = f"pid {other.pid}" if other.pid else "its pid is unknown"
    if is_ending:
        return f"the daemon on {path} ({who}) is still ending; nothing was changed"
    if other.is_heard:
        return f"devsynthd was started by hand and runs on {path} ({who}); nothing was changed"
    return (
        f"devsynthd was started by hand and holds {path} ({who}), where no client reaches it any "
        "more; nothing was changed"
    )


def _hint(other: Other, path: Path, command: str, is_ending: bool) -> str:  # noqa: FBT001 - as above
    if is_ending:
        now = f", or end it at once: kill -9 {other.pid}" if other.pid else ""
        return f"wait until it has finished what runs{now}; then: {command}"
    if not other.is_heard:
        end = f"kill {other.pid}" if other.pid else "pgrep -f devsynthd tells its pid: kill PID"
        return f"end it: {end}; then: {command}"
    given = "" if _is_usual(path) else f" --socket {shlex.quote(str(path))}"
    return f"end it: devsynthctl{given} shutdown; then: {command}"


def _is_usual(path: Path) -> bool:
    try:
        return socket_address(None, os.environ).path == path
    except ConfigInvalid:
        return False


def _is_ending(path: Path) -> bool:
    """Return whether the daemon at *path* takes nothing new any more."""
    from devsynthctl.client import Client  # noqa: PLC0415 - slow, and rarely needed

    try:
        with Client(str(path), timeout=_LIMIT_S) as client:
            client.config_get()
    except (ShuttingDown, ConnectionLost, DaemonUnreachable):  # it listened a moment ago
        return True
    except DevsynthError:
        return False
    return False


def _holder(path: Path) -> int | None:
    """Return the pid of who holds the lock of *path*; 0: unknown, null: nobody does."""
    try:
        fd = os.open(_lock_of(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        return _noted(path) if _is_held(fd, _noted(path)) else None
    finally:
        os.close(fd)


def _is_held(fd: int, pid: int) -> bool:
    """Return whether somebody, most likely *pid*, holds the lock *fd*.

    Linux lists all locks (proc_locks(5)). Elsewhere it is tried out, for a moment: a daemon that
    starts just then fails, and is started again by its manager.
    """
    try:
        listed = Path("/proc/locks").read_text("ascii")
    except (OSError, ValueError):
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False
    info = os.fstat(fd)
    device = f"{os.major(info.st_dev):02x}:{os.minor(info.st_dev):02x}"
    for line in listed.splitlines():
        _, *words = line.split()
        if words[:1] == ["FLOCK"] and len(words) > _PLACE:
            where, _, inode = words[_PLACE].rpartition(":")
            # Layered file systems give another device here than there.
            if inode == str(info.st_ino) and (where == device or words[_PLACE - 1] == str(pid)):
                return True
    return False


def _noted(path: Path) -> int:
    """Return the pid that the daemon wrote into its lock; 0 if that cannot be read."""
    try:
        text = _lock_of(path).read_text("ascii").strip()
    except (OSError, ValueError):
        return 0
    return int(text) if text.isdecimal() else 0


def _lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def _listener(path: Path) -> int | None:
    """Return the pid of who listens at *path*; 0: it cannot be told, null: nobody does."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.setblocking(False)  # noqa: FBT003 - its only argument
        try:
            knock.connect(str(path))
        except BlockingIOError:
            return _UNTOLD  # the door is there, and too many wait at it
        except OSError:
            return None
        return peer_pid(knock) or _UNTOLD


def _is_the_services(pid: int) -> bool:
    """Return whether systemd has started *pid* as the service, or as a part of it."""
    try:
        groups = Path(f"/proc/{pid}/cgroup").read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return any(SYSTEMD_SERVICE in line.split("/") for line in groups.splitlines())
