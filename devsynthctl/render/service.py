"""The service, and what was done with it, in words. Pure."""

from collections.abc import Iterable, Mapping

from devsynthctl.render.status import duration
from devsynthctl.service.reports import (
    FileChange,
    InstallReport,
    ServiceStatus,
    UninstallReport,
)

_MB = 10**6
_SETTINGS = ("DEVSYNTH_LLM_", "DEVSYNTH_DAEMON_", "DEVSYNTH_EMBEDDED_")


def installed_text(report: InstallReport) -> str:
    """Return what an installation did, a line a file, with what has changed in it."""
    if not report.changed:
        return f"already installed, nothing to do: {report.unit}\n"
    files = "".join(_file_text(each) for each in report.files)
    return files or f"uses {report.unit}\n"


def installed_notes(report: InstallReport) -> list[str]:
    """Return what a person should know once the service is installed."""
    notes = [f"devsynthd runs, and listens at {report.socket}"] if report.changed else []
    notes += [
        f"keeps {each}, which it was installed with; give that option another value to change it"
        for each in report.kept
    ]
    if report.sandbox is False:
        notes.append(
            "this machine forbids user namespaces: the service runs without the part of its "
            "sandbox that needs them"
        )
    if report.linger_enabled:
        notes.append(
            "goes on after you log out, as do your other services (loginctl enable-linger)"
        )
    if report.linger is False:
        notes.append(
            "it ends when you log out; if it should not: devsynthctl service install --linger"
        )
    return notes + [f"warning: {each}" for each in report.warnings]


def uninstalled_text(report: UninstallReport) -> str:
    """Return what an uninstallation did, a line a file."""
    files = "".join(_file_text(each) for each in report.files)
    if report.packaged is not None and report.changed:
        files += f"stopped and disabled {report.packaged}, which belongs to a package\n"
    return files if report.changed or files else "not installed, nothing to do\n"


def uninstalled_notes(report: UninstallReport, kept: Iterable[str]) -> list[str]:
    """Return what is left: drop-ins, files set aside, lingering, and the folders in *kept*."""
    notes = [f"your drop-in stays: {path}" for path in report.left]
    notes += [f"set aside before, and stays: {path}" for path in report.originals]
    if report.linger:
        notes.append(
            "your services still go on after you log out; if none needs that any more: "
            "loginctl disable-linger"
        )
    return [*notes, f"settings and cache stay: {', '.join(kept)}"]


def unseen_variables(shell: Mapping[str, str], service: Mapping[str, str]) -> list[str]:
    """Return warnings of settings in the variables of the *shell* that a *service* does not get."""
    unseen = [
        name
        for name, value in shell.items()
        if name.startswith(_SETTINGS) and value and service.get(name) != value
    ]
    return [
        f"the service does not see {name} of this shell; write it into the file instead: "
        f"devsynthctl config set {name.removeprefix('DEVSYNTH_').lower()}"
        for name in sorted(unseen)
    ]


def service_rows(status: ServiceStatus) -> list[tuple[str, str]]:
    """Return *status* as names with their values, for a person."""
    rows = [("manager", status.manager), ("installed", _yes(status.installed))]
    rows += [("unit", f"{each.path} ({_STATES[each.state]})") for each in status.files]
    rows += [("drop-in", path) for path in status.drop_ins]
    if status.installed:
        rows += [("enabled", _yes(status.enabled)), ("state", _state_text(status))]
    pid = None if status.pid is None else str(status.pid)
    rows += [(name, text) for name, text in (("socket", status.socket), ("pid", pid)) if text]
    if status.memory_bytes is not None:
        rows.append(("memory", f"{status.memory_bytes / _MB:.0f} MB"))
    if status.restarts:
        rows.append(("restarts", str(status.restarts)))
    if status.result is not None:
        rows.append(("last end", end_text(status)))
    if status.status is not None:
        rows.append(("says", status.status))
    if status.linger is not None:
        rows.append(("linger", f"{_yes(status.linger)}{'' if status.linger else _ENDS}"))
    if status.answers is not None:
        rows.append(("answers", _yes(status.answers)))
    if status.error is not None:
        rows.append(("", status.error))
    return rows


def service_text(status: ServiceStatus) -> str:
    """Return *status* as a block of lines for a person."""
    return "".join(f"{name:<11}{text}\n" for name, text in service_rows(status))


def end_text(status: ServiceStatus) -> str:
    """Return how the daemon ended last, in the manager's words."""
    how = status.signal
    if status.exit_status is not None:
        how = f"exit status {status.exit_status}"
    return ", ".join(filter(None, (status.result, how)))


_STATES = {
    "ours": "as installed",
    "edited": "edited by hand",
    "packaged": "of a package",
}
_ENDS = ": it ends when you log out"


def _file_text(file: FileChange) -> str:
    match file.change:
        case "written":
            return f"wrote {file.path}\n"
        case "updated":
            return f"updated {file.path}\n{file.diff}"
        case "replaced":
            return f"replaced {file.path}; the old one is {file.original}\n{file.diff}"
        case "removed" if file.original is not None:
            return f"set aside {file.path}: it is {file.original} now\n"
        case "removed":
            return f"removed {file.path}\n"
        case _:
            return ""


def _state_text(status: ServiceStatus) -> str:
    span = "" if status.for_s is None else f", for {duration(status.for_s)}"
    waits = ", starts with the first request" if status.listening and not status.running else ""
    return f"{status.state}{span}{waits}"


def _yes(value: bool | None) -> str:  # noqa: FBT001 - its only argument
    return {True: "yes", False: "no", None: "unknown"}[value]
