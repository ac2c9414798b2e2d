"""Claims a socket's path: a private directory, a lock, and no one else listening on it."""

import errno
import fcntl
import os
import socket
import stat
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

from devsynthd.host.folders import folder_fault, make_private_folder, told_of_fault
from devsynthd.host.peer_pid import peer_pid
from devsynthd.host.way import trusted_owners, way_fault

CONNECT_TIMEOUT_S = 1.0
BACKLOG = 4096  # connections. While it is full, those who do not wait in connect(2) must come again


class ClaimRefused(Exception):
    """The path cannot be had; the message says who or what is in the way and what to do."""


class Claim:
    """The exclusive right to listen on *path*, held until ``release`` or the process's end.

    The lock file stays: were it removed, two daemons could lock two files of the same name.

    What is done to the lock and the socket's file is done in the directory that was looked at: its
    descriptor is held, so another one in its place changes nothing.

    *inherited* is a descriptor on which somebody else, a service manager, listens there for this
    process already. Then the socket file is theirs.

    Raises:
        ClaimRefused: The directory is not private, another daemon has the lock, or something
            listens on the path already.
    """

    def __init__(self, path: Path, *, inherited: int | None = None) -> None:
        self._path, self._inherited = path, inherited
        self._bound_inode: int | None = None
        with ExitStack() as undo:
            self._folder_fd = _open_private_directory(path.parent)
            undo.callback(os.close, self._folder_fd)
            _has_socket(path, self._folder_fd)  # before a lock is left beside another file
            self._lock_fd = _lock(path, self._folder_fd)
            undo.callback(os.close, self._lock_fd)
            if inherited is None:
                _clear_dead_socket(path, self._folder_fd)
            undo.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.release()

    def listen(self) -> socket.socket:
        """Return the socket that listens on the path, for this user only. Whoever asks closes it.

        Raises:
            ClaimRefused: The path leads elsewhere than it did when it was claimed.
            OSError: It cannot be bound.
        """
        if self._inherited is not None:
            return socket.socket(fileno=self._inherited)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            previous = os.umask(0o177)
            try:
                listener.bind(str(self._path))
            finally:
                os.umask(previous)
            self._note_bound()  # before anybody can connect
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def release(self) -> None:
        """Remove the socket file if it is still ours, then let the lock go."""
        try:
            if self._bound_inode is not None:
                there = os.lstat(self._path.name, dir_fd=self._folder_fd)
                if there.st_ino == self._bound_inode:
                    os.unlink(self._path.name, dir_fd=self._folder_fd)
        except FileNotFoundError:
            pass
        finally:
            os.close(self._lock_fd)
            os.close(self._folder_fd)

    def _note_bound(self) -> None:
        """Note the socket file that has just been bound, so that only it is removed later."""
        try:
            bound = os.lstat(self._path.name, dir_fd=self._folder_fd)
            leads_there = os.path.samestat(bound, self._path.lstat())
        except FileNotFoundError:
            leads_there = False
        if not leads_there or not stat.S_ISSOCK(bound.st_mode):
            raise ClaimRefused(
                f"another directory was put in the place of {self._path.parent} while devsynthd "
                "began to listen there; choose another with --socket"
            )
        self._bound_inode = bound.st_ino


def _open_private_directory(directory: Path) -> int:
    """Return a descriptor of *directory*, made if need be, in which nobody else has a say."""
    try:
        make_private_folder(directory)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise ClaimRefused(
            f"cannot make the socket's directory {directory}: {exc.strerror}; "
            "choose another with --socket"
        ) from exc
    try:
        _check_directory(directory, os.fstat(fd), os.geteuid())
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_directory(directory: Path, info: os.stat_result, uid: int) -> None:
    """Make sure that nobody but *uid* and root can put a socket in *directory* or in its place."""
    if fault := folder_fault(info.st_uid, info.st_mode, uid):
        said = told_of_fault(directory, info.st_uid, info.st_mode, fault)
        remedy = (
            f"run: chmod go-w {directory}" if fault == "open" else "choose another with --socket"
        )
        raise ClaimRefused(f"{said}; {remedy}")
    if exchangeable := way_fault(directory, trusted_owners(uid)):
        raise ClaimRefused(
            f"others could put another directory in the place of {directory}: {exchangeable}; "
            "choose another with --socket"
        )


def _lock(path: Path, folder_fd: int) -> int:
    """Return the descriptor that holds the lock of the socket *path*; it names our pid."""
    lock_path = path.with_name(path.name + ".lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        fd = os.open(lock_path.name, flags, 0o600, dir_fd=folder_fd)
    except OSError as exc:
        raise ClaimRefused(f"cannot open the lock {lock_path}: {exc.strerror}") from exc
    try:
        _check_lock(lock_path, os.fstat(fd))
        _take(fd, lock_path, path)
    except BaseException:
        os.close(fd)
        raise
    with suppress(OSError):  # on a full disk the lock holds all the same
        os.fchmod(fd, 0o600)  # whatever the umask
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _check_lock(lock_path: Path, info: os.stat_result) -> None:
    """Make sure that the lock file is nothing but that: it is about to be written over."""
    if not stat.S_ISREG(info.st_mode) or info.st_nlink > 1 or info.st_uid != os.geteuid():
        raise ClaimRefused(
            f"the lock {lock_path} is another file: it is not plain, has a second name or belongs "
            "to somebody else; move it away"
        )


def _take(fd: int, lock_path: Path, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as exc:
        pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        if exc.errno != errno.EWOULDBLOCK:
            raise ClaimRefused(f"cannot lock {lock_path}: {exc.strerror}") from exc
        raise ClaimRefused(
            f"devsynthd already runs on {path} (pid {pid or 'unknown'}); "
            "use it, end it with `devsynthctl shutdown`, or choose another --socket"
        ) from exc


def _has_socket(path: Path, folder_fd: int) -> bool:
    """Return whether there is a socket at *path*; refuse anything else."""
    try:
        mode = os.lstat(path.name, dir_fd=folder_fd).st_mode
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(mode):
        raise ClaimRefused(
            f"{path} exists and is not a socket; choose another with --socket, or move it away"
        )
    return True


def _clear_dead_socket(path: Path, folder_fd: int) -> None:
    """Remove a socket file whose owner is dead; refuse anything else that is in the way."""
    if not _has_socket(path, folder_fd):
        return
    # Nobody but the owner of a listening socket accepts, and systemd accepts for a daemon that
    # does not run yet: taking its path would leave it deaf for good. So only a refusal counts.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(CONNECT_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            os.unlink(path.name, dir_fd=folder_fd)
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
