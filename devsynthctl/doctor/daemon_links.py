"""The links up to the daemon, judged: the socket, the daemon itself, its version. Pure."""

import shlex
import stat
from typing import Literal

from msgspec import Struct

from devsynthctl.doctor.trouble import Trouble, Verdict, ok
from devsynthctl.errors import BadReply, ConnectionLost, NoAnswer
from devsynthd.host.folders import folder_fault
from devsynthd.wire.errors import DevsynthError, Forbidden, ShuttingDown
from devsynthd.wire.results import Pong

_OPEN_TO_OTHERS = 0o077

NO_SOCKET = Trouble(
    check="socket",
    says="no daemon runs: there is no socket at {path}",
    means="devsynthd was not started, or listens elsewhere.",
    remedy="{start}",
)
SOCKET_GONE = Trouble(
    check="socket",
    says="the socket's file {path} is gone, and {manager} still listens where it was",
    means="Somebody has deleted it. No client reaches the daemon, however often it is restarted.",
    remedy="devsynthctl service stop; devsynthctl service start",
)
SOCKET_ELSEWHERE = Trouble(
    check="socket",
    says="nobody listens at {path}; the service has its socket at {theirs}",
    means="The service was installed from a shell with another `DEVSYNTH_SOCKET`, or `--socket`.",
    remedy="export DEVSYNTH_SOCKET={quoted_theirs}",
)
LEFTOVER = Trouble(
    check="socket",
    says="no daemon runs: the one that listened at {path} is gone and has left its socket behind",
    means="It crashed or was killed. The next daemon replaces the file.",
    remedy="{start}",
)
NOT_A_SOCKET = Trouble(
    check="socket",
    says="{path} is not a socket",
    means="`--socket` or `DEVSYNTH_SOCKET` names something else.",
    remedy="name another path with --socket, or `unset DEVSYNTH_SOCKET`",
)
FOREIGN = Trouble(
    check="socket",
    says="{path} belongs to another user",
    means="Each user runs a daemon of their own; only that user can talk to this one.",
    remedy="check --socket and DEVSYNTH_SOCKET",
)
UNUSABLE = Trouble(
    check="socket",
    says="{path}: {reason}",
    example="PATH: the reason, in the words of the system",
    means="The path cannot be that of a daemon's socket, or cannot be reached.",
    remedy="check --socket and DEVSYNTH_SOCKET",
)
FOREIGN_FOLDER = Trouble(
    check="socket",
    says="the socket's folder {folder} belongs to somebody else (uid {uid})",
    means="A daemon refuses to listen where others decide what is there.",
    remedy="name another path with --socket and DEVSYNTH_SOCKET",
)
OPEN_FOLDER = Trouble(
    check="socket",
    says="others may write to the socket's folder {folder} (mode {mode})",
    means="They could put a socket of their own there; a daemon refuses to listen in it.",
    remedy="chmod go-w {quoted_folder}",
)
SHARED_FOLDER = Trouble(
    check="socket",
    says="the socket's folder {folder} is shared by all users",
    means="A daemon refuses to listen in a folder like /tmp.",
    remedy="name another path with --socket and DEVSYNTH_SOCKET",
)
OPEN_SOCKET = Trouble(
    check="socket",
    state="warn",
    says="others may connect to {path} (mode {mode})",
    means="Somebody has changed its mode. The daemon turns other users away all the same.",
    remedy="chmod 600 {quoted_path}",
)
HUNG = Trouble(
    check="daemon",
    says="whoever listens at {path} takes connections, but does not answer",
    means="The daemon is stuck, or suspended; or it keeps failing while a service manager starts "
    "it.",
    remedy="{restart}",
)
STRANGER = Trouble(
    check="daemon",
    says="what listens at {path} is no devsynthd: {reason}",
    means="Another program has the socket, or a daemon of quite another version.",
    remedy="end that program, or name another path with --socket",
)
HUNG_UP = Trouble(
    check="daemon",
    says="the daemon at {path} hangs up: {reason}",
    means="It ended just now, or something between has cut the connection.",
    remedy="{restart}",
)
TURNED_AWAY = Trouble(
    check="daemon",
    says="the daemon at {path} turns this user away: {reason}",
    means="It runs as another user, and serves only that one.",
    remedy="start one of your own: {start}",
)
ENDING = Trouble(
    check="daemon",
    says="the daemon is shutting down",
    means="It finishes what runs and takes nothing new.",
    remedy="wait until it has ended, then: {start}",
)
DAEMON_FAULT = Trouble(
    check="daemon",
    says="{reason}",
    example="another error of the daemon",
    means="The daemon answered a simple question with an error.",
    remedy="{restart}",
)
OLD_DAEMON = Trouble(
    check="version",
    state="warn",
    says="devsynthctl is {ours}, but the daemon that runs is still {theirs}",
    means="devsynthd was upgraded and not restarted since.",
    remedy="{restart}",
)
OLD_COMMAND = Trouble(
    check="version",
    state="warn",
    says="devsynthctl is {ours}, the daemon {theirs}",
    means="Two installations: the command in this shell is the older one.",
    remedy="upgrade the one of this shell: pip install --upgrade devsynthd",
)
OTHER_PROTOCOL = Trouble(
    check="version",
    says="the daemon speaks protocol {theirs}, devsynthctl speaks {ours}",
    means="They do not understand each other.",
    remedy="install the same version of both, then: {restart}",
)

TROUBLES = (
    *(NO_SOCKET, SOCKET_GONE, SOCKET_ELSEWHERE, LEFTOVER, NOT_A_SOCKET, FOREIGN, UNUSABLE),
    *(FOREIGN_FOLDER, OPEN_FOLDER, SHARED_FOLDER, OPEN_SOCKET),
    *(HUNG, STRANGER, HUNG_UP, TURNED_AWAY, ENDING, DAEMON_FAULT),
    *(OLD_DAEMON, OLD_COMMAND, OTHER_PROTOCOL),
)

SocketFault = Literal["missing", "leftover", "not_a_socket", "foreign", "unusable"]

_SOCKET_TROUBLES: dict[SocketFault, Trouble] = {
    "missing": NO_SOCKET,
    "leftover": LEFTOVER,
    "not_a_socket": NOT_A_SOCKET,
    "foreign": FOREIGN,
    "unusable": UNUSABLE,
}


class Commands(Struct, frozen=True):
    """What starts and what restarts the daemon here."""

    start: str
    restart: str


class SocketSeen(Struct, frozen=True, kw_only=True):
    """A socket's path as it was found; *fault* null: something accepts there.

    *reason* is in the system's words. *manager* is who listens there, by its own word, for the
    service; *elsewhere* is the service's socket if that is another one. *folder_uid* and the modes
    are null where there is nothing.
    """

    path: str
    folder: str
    fault: SocketFault | None = None
    reason: str = ""
    manager: str | None = None
    elsewhere: str | None = None
    uid: int
    folder_uid: int | None = None
    folder_mode: int | None = None
    mode: int | None = None


def judge_socket(seen: SocketSeen, commands: Commands) -> Verdict:
    """Return what *seen* means for whoever wants to reach a daemon there."""
    trouble = _fault_of_folder(seen) or _fault_of_socket(seen)
    if trouble is None and seen.mode is not None and seen.mode & _OPEN_TO_OTHERS:
        trouble = OPEN_SOCKET
    if trouble is None:
        return ok(seen.path)
    return trouble.told(
        path=seen.path,
        folder=seen.folder,
        quoted_path=shlex.quote(seen.path),
        quoted_folder=shlex.quote(seen.folder),
        manager=seen.manager,
        theirs=seen.elsewhere,
        quoted_theirs=shlex.quote(seen.elsewhere or ""),
        uid=seen.folder_uid,
        mode=_octal((seen.mode if trouble is OPEN_SOCKET else seen.folder_mode) or 0),
        reason=seen.reason,
        start=commands.start,
    )


def _fault_of_folder(seen: SocketSeen) -> Trouble | None:
    """Return why a daemon would refuse the folder, as it does itself before it listens."""
    if seen.folder_uid is None or seen.folder_mode is None:
        return None
    match folder_fault(seen.folder_uid, seen.folder_mode, seen.uid):
        case "foreign":  # /tmp, for one, is root's
            return SHARED_FOLDER if seen.folder_mode & stat.S_ISVTX else FOREIGN_FOLDER
        case "shared":
            return SHARED_FOLDER
        case "open":
            return OPEN_FOLDER
        case None:
            return None


def _fault_of_socket(seen: SocketSeen) -> Trouble | None:
    if seen.fault in ("missing", "leftover") and seen.elsewhere:
        return SOCKET_ELSEWHERE
    if seen.fault == "missing" and seen.manager:
        return SOCKET_GONE
    return _SOCKET_TROUBLES[seen.fault] if seen.fault else None


def judge_daemon(pong: Pong) -> Verdict:
    """Return what a daemon that answers is called."""
    return ok(f"devsynthd answers, pid {pong.pid}")


def judge_silence(error: DevsynthError, path: str, commands: Commands) -> Verdict:
    """Return what it means that asking the daemon at *path* ended with *error*."""
    reason, start, restart = str(error), commands.start, commands.restart
    match error:
        case NoAnswer():
            return HUNG.told(path=path, restart=restart)
        case BadReply():
            return STRANGER.told(path=path, reason=reason)
        case ConnectionLost():
            return HUNG_UP.told(path=path, reason=reason, restart=restart)
        case Forbidden():
            return TURNED_AWAY.told(path=path, reason=reason, start=start)
        case ShuttingDown():
            return ENDING.told(start=start)
        case _:
            return DAEMON_FAULT.told(reason=reason, restart=restart)


def judge_version(pong: Pong, *, ours: str, protocol: int, commands: Commands) -> Verdict:
    """Return whether the daemon is of the version that this command is of."""
    theirs, restart = pong.version, commands.restart
    if pong.protocol != protocol:
        return OTHER_PROTOCOL.told(theirs=pong.protocol, ours=protocol, restart=restart)
    if theirs == ours:
        return ok(f"{theirs}, protocol {protocol}")
    trouble = OLD_DAEMON if _order(theirs) <= _order(ours) else OLD_COMMAND
    return trouble.told(theirs=theirs, ours=ours, restart=restart)


def _order(version: str) -> list[int]:
    """Return the numbers that *version* begins with; enough to tell old from new."""
    numbers = []
    for part in version.split("."):
        if not part.isdecimal():
            break
        numbers.append(int(part))
    return numbers


def _octal(mode: int) -> str:
    return f"{stat.S_IMODE(mode):04o}"
