"""The units of systemd, made for one installation out of those that are shipped. Pure."""

import re
import shlex
from collections.abc import Iterable, Mapping
from pathlib import Path

from devsynthctl.service.errors import ServiceError
from devsynthctl.service.wish import Spec, Told, told_by

DROP_IN = "50-without-user-namespaces.conf"

NEEDS_USER_NAMESPACE: Mapping[str, str] = {
    "PrivateUsers": "no",
    "ProtectSystem": "no",
    "ProtectHome": "no",
    "ReadWritePaths": "",
    "InaccessiblePaths": "",
    "PrivateMounts": "no",
    "PrivateTmp": "no",
    "PrivateDevices": "no",
    "CapabilityBoundingSet": "~",
    "ProtectClock": "no",
    "ProtectHostname": "no",
    "ProtectKernelModules": "no",
    "ProtectKernelTunables": "no",
}
"""The keys of the sandbox that a user's manager sets up only with ``PrivateUsers=``, each with the
value that turns it off (systemd.exec(5)). The rest are filters of system calls, which it always
may set."""

_HAVE_PATHS = ("ReadWritePaths", "InaccessiblePaths")
_PRIVATE_TMP = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - which PrivateTmp= replaces


def service_unit(template: str, spec: Spec) -> str:
    """Return devsynthd.service for *spec*."""
    changes = {
        "ExecStart": command_line((*spec.daemon, *spec.options)),
        "ExecReload": command_line((*_ctl(spec), "--timeout", "30", "reload")),
    }
    more: dict[str, Iterable[str]] = {}
    if writable := writable_folders(spec):
        words = " ".join(_word(f"-{folder}") for folder in writable)
        more["ReadWritePaths"] = (f"ReadWritePaths={words}",)
    if spec.writable:
        made = command_line(("mkdir", "-p", *map(str, spec.writable)))
        more["ExecStartPre"] = (f"ExecStartPre=-+{made}",)
    if _is_in_tmp(spec):
        changes["PrivateTmp"] = "no"
    return _edited(template, changes, more)


def writable_folders(spec: Spec) -> list[Path]:
    """Return the folders that the service may write to besides its usual ones."""
    return [*spec.writable] + ([spec.socket.parent] if spec.socket else [])


def refuse_open_sandbox(folders: Iterable[Path], home: Path, own: Path) -> None:
    """Make sure that a daemon that may write to *folders* cannot leave its sandbox by that.

    *home* is the user's, *own* the folder of their units; none of the paths has symlinks in it.

    Raises:
        ServiceError: One has the shell's files, or units, in it.
    """
    for folder in folders:
        if any(each.is_relative_to(folder) for each in (home, own)) or folder.is_relative_to(own):
            raise ServiceError(
                f"the service would have to be able to write to {folder}, and with that to files "
                "that run outside of its sandbox; nothing was changed",
                hint="keep the socket and the config file each in a folder of its own, and name "
                "them with --socket and --config",
            )


def told_to(unit: str) -> Told:
    """Return what the daemon is told that *unit* runs; nothing if that cannot be read."""
    return told_by(command_in(unit))


def command_in(unit: str) -> list[str]:
    """Return the command that *unit* runs, as words; none if that cannot be read."""
    line = (exec_start(unit) or "").replace("%%", "%").replace("$$", "$")
    try:
        return shlex.split(line)
    except ValueError:
        return []


def socket_unit(template: str, spec: Spec) -> str:
    """Return devsynthd.socket for *spec*."""
    if spec.socket is None:
        return template
    return _edited(template, {"ListenStream": _no_specifiers(str(spec.socket))}, {})


def drop_in() -> str:
    """Return what turns off all that needs user namespaces."""
    lines = "".join(f"{key}={off}\n" for key, off in NEEDS_USER_NAMESPACE.items())
    return (
        "# This machine forbids its users namespaces of their own, without which systemd cannot\n"
        "# set up these. The filters of system calls hold all the same. Once it allows them,\n"
        "# `devsynthctl service install` takes this file away.\n"
        f"[Service]\n{lines}"
    )


def sandbox_of(template: str) -> list[str]:
    """Return those settings in *template* that need a user namespace, but for those with paths."""
    settings = [line for line in template.splitlines() if not line.startswith("#")]
    return [
        line
        for line in settings
        if (key := line.partition("=")[0]) in NEEDS_USER_NAMESPACE and key not in _HAVE_PATHS
    ]


def exec_start(unit: str) -> str | None:
    """Return the command line that *unit* runs; null if it has none."""
    found = re.search(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    return found[1] if found else None


def command_line(command: Iterable[str]) -> str:
    """Return *command* as ``ExecStart=`` takes it (systemd.service(5), "Command lines")."""
    first, *rest = command
    # There are no variables in the name of the program.
    return " ".join([_word(first), *(_word(each.replace("$", "$$")) for each in rest)])


def _ctl(spec: Spec) -> tuple[str, ...]:
    return spec.ctl if spec.socket is None else (*spec.ctl, "--socket", str(spec.socket))


def _word(text: str) -> str:
    """Return *text* as one word: quoted if need be."""
    text = _no_specifiers(text)
    if re.fullmatch(r"[\w%+,./:=@$-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _no_specifiers(text: str) -> str:
    return text.replace("%", "%%")


def _is_in_tmp(spec: Spec) -> bool:
    """Return whether anything that the service needs lies where it would not see it."""
    commands = [Path(word) for word in (*spec.daemon, *spec.ctl)]
    needed = [*commands, *spec.writable, *([spec.socket] if spec.socket else [])]
    return any(path.is_relative_to(tmp) for path in needed for tmp in _PRIVATE_TMP)


def _edited(unit: str, changes: Mapping[str, str], more: Mapping[str, Iterable[str]]) -> str:
    """Return *unit* with other values for the keys in *changes*, and the lines *more* behind them.

    Raises:
        ValueError: There is no such key in it.
    """
    missing = {*changes, *more}
    lines: list[str] = []
    for line in unit.splitlines():
        key = line.partition("=")[0]
        lines.append(f"{key}={changes[key]}" if key in changes else line)
        lines += more.get(key, ())
        missing.discard(key)
    if missing:
        raise ValueError(f"the unit has no {', '.join(sorted(missing))}")
    return "\n".join(lines) + "\n"
