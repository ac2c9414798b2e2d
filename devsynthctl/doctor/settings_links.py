"""The settings, judged: the config file, and the environment of this shell. Pure."""

import errno
import os
import shlex
from collections.abc import Sequence

from msgspec import Struct

from devsynthctl.doctor.trouble import Trouble, Verdict, ok
from devsynthd.settings.file import unreadable

INVALID_FILE = Trouble(
    check="config",
    says="{errors}",
    example="FILE, line N: KEY = VALUE is not allowed: it takes ...",
    means="The config file has a mistake, at the line that is named. A daemon that runs keeps what "
    "was in force before; one that is started ends with status 78.",
    remedy="devsynthctl config edit",
)
LOCKED_FILE = Trouble(
    check="config",
    says="{errors}",
    example="FILE cannot be read: Permission denied",
    means="This user may not read the config file: a daemon that is started ends with status 78.",
    remedy="chmod u+r {quoted_path}",
)
NO_FILE = Trouble(
    check="config",
    says="{errors}",
    example="FILE cannot be read: it is a folder, not a file",
    means="What was named as the config file is none, or the disk does not give it.",
    remedy="name another file with DEVSYNTH_CONFIG or --config",
)
REFUSED_FILE = Trouble(
    check="config",
    says="the daemon does not take {path}: {errors}",
    means="The file was changed while the daemon ran; what was in force before still is.",
    remedy="devsynthctl config edit",
)
OTHER_FILE = Trouble(
    check="config",
    state="warn",
    says="the daemon reads {theirs}, one started from this shell would read {ours}",
    means="`DEVSYNTH_CONFIG` or `--config` differs between them.",
    remedy="change settings with devsynthctl config, which asks the daemon",
)
OPEN_FILE = Trouble(
    check="config",
    state="warn",
    says="{path} has llm_api_key, and other users can read it",
    means="They can use your key.",
    remedy="chmod 600 {quoted_path}",
)
CAGED_FILE = Trouble(
    check="config",
    state="warn",
    says="the service's sandbox lets the daemon read {path}, but not change it",
    means="The file was moved, or made a symlink, since the service was installed: `devsynthctl "
    "config set` fails.",
    remedy="devsynthctl service install",
)
FULL_DISK = Trouble(
    check="config",
    state="warn",
    says="no room is left on the disk of {path}",
    means="Settings cannot be saved: `devsynthctl config set` fails, and the file stays as it is.",
    remedy="make room on it, or delete some files: df -h {quoted_folder}; df -i {quoted_folder}",
)
LOCKED_FOLDER = Trouble(
    check="config",
    state="warn",
    says="{path} cannot be changed: this user may not write to {folder}",
    means="The settings hold, but cannot be saved: `devsynthctl config set` fails. That may be as "
    "it should be.",
    remedy="chmod u+w {quoted_folder}; or, of a read-only disk: mount it for writing",
)
HOMELESS = Trouble(
    check="config",
    state="warn",
    says="this user has no home directory: no config file is read",
    means="Settings come from variables only.",
    remedy="set HOME, or name a file with DEVSYNTH_CONFIG",
)
INVALID_VARIABLES = Trouble(
    check="environment",
    says="{errors}",
    example="DEVSYNTH_NAME = VALUE is not allowed: it takes ...",
    means="A variable of this shell has a value that its setting does not take: a daemon started "
    "here would end with status 78.",
    remedy="correct the variable, or clear it with `unset`",
)
VARIABLES = Trouble(
    check="environment",
    state="warn",
    says="{notes}",
    example="this shell has DEVSYNTH_NAME = VALUE, which the daemon does not see",
    means="This shell and the daemon differ. The daemon has an environment of its own: what you "
    "export in a shell never reaches one that a service manager started.",
    remedy="devsynthctl config set KEY VALUE, which reaches the daemon",
)
USELESS_VARIABLES = Trouble(
    check="environment",
    state="warn",
    says="{notes}",
    example="this shell's variable is of no use: DEVSYNTH_NAME = VALUE is not allowed: it takes "
    "...",
    means="A variable of this shell has a value that its setting does not take. The daemon, which "
    "has an environment of its own, does not see it; one that is started here would end with "
    "status 78.",
    remedy="unset {names}",
)
HIDDEN = Trouble(
    check="environment",
    state="warn",
    says="the daemon's own variables or flags hide what the file says: {keys}",
    means="A variable wins over the config file.",
    remedy="take them out of what starts the daemon, and restart it: {restart}",
)
UNKNOWN_VARIABLES = Trouble(
    check="environment",
    state="warn",
    says="{notes}",
    example="the variable DEVSYNTH_NAME is ignored, there is no such setting",
    means="A variable that begins like ours belongs to no setting, most likely a slip.",
    remedy="correct its name, or clear it with `unset`",
)
UNKNOWN_OF_SERVICE = Trouble(
    check="environment",
    state="warn",
    says="{notes}",
    example="in the service's unit, the variable DEVSYNTH_NAME is ignored, there is no such "
    "setting",
    means="A variable in a drop-in of the service belongs to no setting, most likely a slip.",
    remedy="systemctl --user edit devsynthd.service, then: devsynthctl service restart",
)
PROXY = Trouble(
    check="environment",
    state="warn",
    says="this shell has a proxy for {address}; which one the daemon has cannot be told",
    means="Proxy variables hold for servers on other machines, and each process has its own.",
    remedy="where no proxy is wanted: NO_PROXY={host} for the shell and for the daemon",
)

TROUBLES = (
    *(INVALID_FILE, LOCKED_FILE, NO_FILE, REFUSED_FILE, OTHER_FILE, OPEN_FILE),
    *(LOCKED_FOLDER, FULL_DISK, CAGED_FILE, HOMELESS),
    *(INVALID_VARIABLES, UNKNOWN_VARIABLES, VARIABLES, USELESS_VARIABLES, HIDDEN),
    *(UNKNOWN_OF_SERVICE, PROXY),
)


class ConfigSeen(Struct, frozen=True, kw_only=True):
    """A config file as it was found.

    *errors* are those of the file by itself. *daemons* is the error for which the daemon that runs
    does not take it, if it does not. *ours* is the file that a daemon started from this shell would
    read, where that is another one. *full_disk* is a folder on the disk where it would be saved, if
    there is no room left; *locked* is that folder if this user may not write there. *is_caged*: the
    sandbox keeps the daemon from changing the file.
    """

    path: str
    exists: bool
    errors: Sequence[str] = ()
    daemons: str | None = None
    ours: str | None = None
    is_open: bool = False
    locked: str | None = None
    full_disk: str | None = None
    is_caged: bool = False


class EnvironmentSeen(Struct, frozen=True, kw_only=True):
    """The variables of this shell beside the daemon's settings; without a daemon by themselves.

    *notes* are differences, *useless* the errors of variables that the daemon does not see,
    *unknown* variables of no setting, *unknown_there* those in the service's unit, *hidden* the
    settings in the file that the daemon's environment hides. *proxied* is an upstream's address and
    host that a proxy of this shell stands before.
    """

    has_daemon: bool
    errors: Sequence[str] = ()
    notes: Sequence[str] = ()
    useless: Sequence[str] = ()
    unknown: Sequence[str] = ()
    unknown_there: Sequence[str] = ()
    hidden: Sequence[str] = ()
    proxied: tuple[str, str] | None = None


def judge_config(seen: ConfigSeen) -> Verdict:
    """Return whether the file can be used, and is the one that a person thinks of."""
    path = seen.path
    if seen.errors:
        verdict = _fault_of_file(path, seen.errors)
    elif seen.daemons is not None:
        verdict = REFUSED_FILE.told(path=path, errors=seen.daemons)
    elif seen.is_open:
        verdict = OPEN_FILE.told(path=path, quoted_path=shlex.quote(path))
    elif seen.locked is not None:
        folder = shlex.quote(seen.locked)
        verdict = LOCKED_FOLDER.told(path=path, folder=seen.locked, quoted_folder=folder)
    elif seen.full_disk is not None:
        verdict = FULL_DISK.told(path=path, quoted_folder=shlex.quote(seen.full_disk))
    elif seen.is_caged:
        verdict = CAGED_FILE.told(path=path)
    elif seen.ours is not None:
        verdict = OTHER_FILE.told(theirs=path, ours=seen.ours)
    else:
        verdict = ok(f"{path} {'is valid' if seen.exists else 'is not there: defaults hold'}")
    return verdict


def _fault_of_file(path: str, errors: Sequence[str]) -> Verdict:
    trouble = INVALID_FILE
    if errors[0].startswith(unreadable(path)):
        is_locked = errors[0].endswith(os.strerror(errno.EACCES))
        trouble = LOCKED_FILE if is_locked else NO_FILE
    return trouble.told(errors="\n".join(errors), quoted_path=shlex.quote(path))


def judge_environment(seen: EnvironmentSeen, restart: str) -> Verdict:
    """Return whether variables mean what a person at this shell thinks."""
    if seen.errors:
        return INVALID_VARIABLES.told(errors="\n".join(seen.errors))
    found = []
    if seen.notes:
        found.append(VARIABLES.told(notes="\n".join(seen.notes)))
    if seen.useless:
        notes = "\n".join(f"this shell's variable is of no use: {each}" for each in seen.useless)
        names = " ".join(each.partition(" ")[0] for each in seen.useless)
        found.append(USELESS_VARIABLES.told(notes=notes, names=names))
    if seen.unknown:
        found.append(UNKNOWN_VARIABLES.told(notes="\n".join(seen.unknown)))
    if seen.unknown_there:
        notes = "\n".join(f"in the service's unit, {each}" for each in seen.unknown_there)
        found.append(UNKNOWN_OF_SERVICE.told(notes=notes))
    if seen.hidden:
        found.append(HIDDEN.told(keys=", ".join(seen.hidden), restart=restart))
    if seen.proxied:
        address, host = seen.proxied
        found.append(PROXY.told(address=address, host=host))
    if not found:
        where = "this shell and the daemon agree" if seen.has_daemon else "nothing wrong in it"
        return ok(where)
    messages, remedies = zip(*((each.message, each.remedy or "") for each in found), strict=True)
    return Verdict("warn", "\n".join(messages), "; ".join(remedies))
