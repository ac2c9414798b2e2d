"""Claims a socket's path: a private directory, a lock, and no one else listening on it."""

import errno
import fcntl
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Self

from devsynthd.host.folders import folder_fault, told_of_fault
from devsynthd.host.peer_pid import peer_pid

CONNECT_TIMEOUT_S = 1.0


class ClaimRefused(Exception):
    """The path cannot be had; the message says who or what is in the way and what to do."""


class Claim:
    """The exclusive right to listen on *path*, held until ``release`` or the process's end.

    The lock file stays: were it removed, two daemons could lock two files of the same name.

    *inherited*: somebody else, a service manager, listens there for this process already. Then the
    socket file is theirs.

    Raises:
        ClaimRefused: The directory is not private, another daemon has the lock, or something
            listens on the path already.
    """

    def __init__(self, path: Path, *, inherited: bool = False) -> None:
        self._path, self._is_inherited = path, inherited
        self._bound_inode: int | None = None
        _make_private_directory(path.parent)
        self._lock_fd = _lock(path.with_name(path.name + ".lock"), path)
        if inherited:
            return
        try:
            _clear_dead_socket(path)
        except BaseException:
            os.close(self._lock_fd)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def bound(self) -> None:
        """Note the socket file that has just been bound, so that only it is removed later."""
        if not self._is_inherited:
            self._bound_inode = self._path.lstat().st_ino

    def release(self) -> None:
        """Remove the socket file if it is still ours, then let the lock go."""
        try:
            if self._bound_inode is not None and self._path.lstat().st_ino == self._bound_inode:
                self._path.unlink()
        except FileNotFoundError:
            pass
        finally:
            os.close(self._lock_fd)


def _make_private_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        info = directory.stat()
    except OSError as exc:
        raise ClaimRefused(
            f"cannot make the socket's directory {directory}: {exc.strerror}; "
            "choose another with --socket"
        ) from exc
    if fault := folder_fault(info.st_uid, info.st_mode, os.geteuid()):
        said = told_of_fault(directory, info.st_uid, info.st_mode, fault)
        remedy = (
            f"run: chmod go-w {directory}" if fault == "open" else "choose another with --socket"
        )
        raise ClaimRefused(f"{said}; {remedy}")


def _lock(lock_path: Path, path: Path) -> int:
    """Return the descriptor that holds the lock; it names our pid."""
    try:
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as exc:
        raise ClaimRefused(f"cannot open the lock {lock_path}: {exc.strerror}") from exc
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        if exc.errno != errno.EWOULDBLOCK:
            raise ClaimRefused(f"cannot lock {lock_path}: {exc.strerror}") from exc
        raise ClaimRefused(
            f"devsynthd already runs on {path} (pid {pid or 'unknown'}); "
            "use it, end it with `devsynthctl shutdown`, or choose another --socket"
        ) from exc
    with suppress(OSError):  # on a full disk the lock holds all the same
        os.fchmod(fd, 0o600)  # whatever the umask
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _clear_dead_socket(path: Path) -> None:
    """Remove a socket file whose owner is dead; refuse anything else that is in the way."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise ClaimRefused(f"{path} exists and is not a socket; move it away")
    # Nobody but the owner of a listening socket accepts, and systemd accepts for a daemon that
    # does not run yet: taking its path would leave it deaf for good. So only a refusal counts.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except FileNotFoundError:
            return
        except OSError as exc:
            raise ClaimRefused(
                f"something holds {path} and does not answer ({exc.strerror or exc}); "
                "end it or choose another --socket"
            ) from exc
        raise ClaimRefused(_holder(path, peer_pid(probe)))


def _holder(path: Path, pid: int | None) -> str:
    if pid is None:
        return f"another process listens on {path}; end it or choose another --socket"
    try:
        name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        name = "unknown"
    if name == "systemd":
        return (
            f"systemd (pid {pid}) listens on {path} and starts the daemon when it is needed; "
            "run `systemctl --user start devsynthd.service` instead"
        )
    return f"{name} (pid {pid}) listens on {path}; end it or choose another --socket"
