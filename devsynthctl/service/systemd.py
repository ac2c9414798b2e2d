"""The daemon as a service of the user's own systemd."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from devsynthctl.service import unit_files, units
from devsynthctl.service.due import due
from devsynthctl.service.errors import NotInstalled
from devsynthctl.service.knocking import refuse_other_daemon
from devsynthctl.service.placing import (
    originals_of,
    place,
    refuse_edited,
    refuse_foreign,
    refuse_open_folder,
    take_away,
)
from devsynthctl.service.reports import FileChange, InstallReport, ServiceStatus, UninstallReport
from devsynthctl.service.runner import Runner
from devsynthctl.service.shipped import shipped
from devsynthctl.service.systemctl import EDIT, UNITS, Surroundings, Systemctl, mend_of
from devsynthctl.service.trial import refuse_bad_settings
from devsynthctl.service.unit_state import UnitState, service_status
from devsynthctl.service.wish import Told, Wish, spec_of
from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET

_COMMAND = "devsynthctl service {}"


class Systemd:
    """Installs and runs the units through ``systemctl --user``.

    Args:
        runner: Runs the commands.
        uid: The user whose manager it is.
        monotonic: Seconds of CLOCK_MONOTONIC, by which systemd tells times.
    """

    name = "systemd"

    def __init__(
        self, runner: Runner, uid: int, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._runner, self._monotonic = runner, monotonic
        self._systemctl = Systemctl(runner, uid)

    def environ(self) -> dict[str, str]:
        """Return the variables that a service gets.

        Raises:
            NoManager: The manager cannot be reached.
        """
        return self._systemctl.surroundings().environ

    def told(self) -> Told:
        """Return what an installed service was told to use.

        Raises:
            NoManager: The manager cannot be reached.
        """
        around = self._systemctl.surroundings()
        service, _ = self._systemctl.states()
        return units.told_to(unit_files.unit_text(around, service))

    def install(self, wish: Wish, *, force: bool, linger: bool) -> InstallReport:
        """Write the units, enable them, and start the daemon; return once it answers.

        Nothing is done that has been done before. With *force* units that a person has edited are
        replaced; with *linger* the service goes on after logging out.

        Raises:
            NoManager: The manager cannot be reached.
            EditedFile: A unit was edited by a person; nothing was changed.
            ServiceError: The rest that may go wrong.
        """
        around = self._systemctl.surroundings()
        service, socket = self._systemctl.states()
        spec = spec_of(
            wish,
            usual_socket=around.runtime_dir / "devsynth" / "devsynthd.sock",
            usual_config=around.config_home / "devsynth" / "config.toml",
        )
        folders = [folder.resolve() for folder in units.writable_folders(spec)]
        units.refuse_open_sandbox(folders, around.home.resolve(), around.units.resolve())
        refuse_open_folder(wish.socket.parent)
        sandbox = self._systemctl.can_set_up(units.sandbox_of(shipped("systemd", SYSTEMD_SERVICE)))
        planned = unit_files.planned(spec, around, sandbox=sandbox)
        packaged = unit_files.packaged(planned, around, service)
        if packaged:
            planned = [each for each in planned if each.path == unit_files.drop_in(around)]
        if not force:
            refuse_edited(planned, EDIT)
        is_up = service.is_up or socket.is_up
        refuse_other_daemon(wish.socket, service.pid, _COMMAND.format("install"), is_up=is_up)
        if service.is_up and any(each.state != "current" for each in planned):
            self._try_settings([*spec.daemon, *spec.options], around, service)
        files = [place(each) for each in planned]
        if sandbox and (gone := take_away(unit_files.drop_in(around), force=False)):
            files.append(gone)
        changed = self._bring_up(files, service, socket)
        _, listening = self._systemctl.states()
        lingers = self._systemctl.lingers()
        enables_linger = linger and not lingers
        if enables_linger:
            self._systemctl.linger()
            lingers = changed = True
        return InstallReport(
            manager=self.name,
            changed=changed,
            unit=packaged or str(around.units / SYSTEMD_SERVICE),
            files=files,
            socket=str(listening.listens_at or wish.socket),
            sandbox=sandbox,
            linger=lingers,
            linger_enabled=enables_linger,
            warnings=[_UNTRIED] if sandbox is None else [],
        )

    def uninstall(self, *, force: bool) -> UninstallReport:
        """Stop the daemon, and take away all that an installation wrote, or nothing.

        With *force* also units that a person has edited; they are kept under another name.

        Raises:
            NoManager: The manager cannot be reached.
            EditedFile: A unit was edited by a person; nothing was changed.
            ServiceError: The daemon cannot be stopped, or a file not be removed.
        """
        around = self._systemctl.surroundings()
        service, socket = self._systemctl.states()
        paths = [*(around.units / name for name in UNITS), unit_files.drop_in(around)]
        if not force:
            refuse_foreign(paths)
        known = [each for each in (socket, service) if each.is_known]
        was_on = any(each.is_up or each.is_enabled for each in known)
        if known:
            names = [each.name for each in known]
            self._systemctl.stop(*names)
            self._systemctl.disable(*names)
        originals = originals_of(paths)
        files = [each for path in paths if (each := take_away(path, force=force))]
        if known:
            self._systemctl.read_anew()
            self._systemctl.forget_failures()
        folders = [around.units / f"{name}.d" for name in UNITS]
        left = [str(path) for folder in folders for path in sorted(folder.glob("*.conf"))]
        return UninstallReport(
            manager=self.name,
            changed=was_on or any(each.change == "removed" for each in files),
            files=files,
            left=left,
            originals=originals,
            packaged=service.fragment if service.is_packaged(around.units) else None,
            linger=self._systemctl.lingers(),
        )

    def start(self) -> None:
        """Start socket and daemon; return once it answers.

        Raises:
            NoManager, NotInstalled: There is nothing to start it with, or nothing to start.
            ServiceError: It does not start, and why; or another daemon is in its way.
        """
        self._installed()
        self._systemctl.read_anew()  # NeedDaemonReload= does not tell of a drop-in's new folder
        service, socket = self._systemctl.states()
        _refuse_other_daemon(service, socket, "start")
        self._systemctl.start(*UNITS, verb="restart" if _is_deaf(socket) else "start")

    def stop(self) -> None:
        """Stop the socket, so that no request starts the daemon again, and the daemon.

        Raises:
            NoManager, NotInstalled: There is nothing to stop it with, or nothing to stop.
            ServiceError: It does not stop, and why.
        """
        try:
            self._installed()
        except NotInstalled as exc:
            raise NotInstalled(
                f"{exc}, so there is nothing to stop",
                hint="one that was started by hand: devsynthctl shutdown",
            ) from exc
        self._systemctl.stop(*UNITS)

    def restart(self) -> None:
        """Restart the daemon; meanwhile requests wait at the socket.

        Where nobody finds the socket any more it is made anew: who waits at it has to ask again.

        Raises:
            NoManager, NotInstalled: There is nothing to start it with, or nothing to start.
            ServiceError: It does not start, and why; or it would not, and was left alone.
        """
        self._installed()
        self._systemctl.read_anew()  # as above
        service, socket = self._systemctl.states()
        _refuse_other_daemon(service, socket, "restart")
        if service.is_up:
            around = self._systemctl.surroundings()
            self._try_settings(
                units.command_in(unit_files.unit_text(around, service)), around, service
            )
        names = UNITS if _is_deaf(socket) else (SYSTEMD_SERVICE,)
        self._systemctl.start(*names, verb="restart")

    def status(self) -> ServiceStatus:
        """Return how the service is; whether it answers is left open.

        Raises:
            NoManager: The manager cannot be reached.
        """
        around = self._systemctl.surroundings()
        service, socket = self._systemctl.states()
        return service_status(
            service,
            socket,
            own=around.units,
            linger=self._systemctl.lingers(),
            now_s=self._monotonic(),
        )

    def show_logs(self, *, lines: int, follow: bool, as_json: bool) -> NoReturn:
        """Become the command that shows the last *lines* of the log, and with *follow* what comes.

        Raises:
            NoManager, NotInstalled: There is no line, and that is why.
            ServiceError: There is no such command.
        """
        named = [f"--unit={name}" for name in (SYSTEMD_SERVICE, SYSTEMD_SOCKET)]
        found = self._runner.run(["journalctl", "--user", *named, "--lines=1", "--quiet"])
        if not found.stdout.strip():
            self._installed()
        options = ["--follow"] if follow else ["--no-pager"]
        options += ["--output=json"] if as_json else []
        self._runner.become(["journalctl", "--user", *named, f"--lines={lines}", *options])

    def _bring_up(self, files: list[FileChange], service: UnitState, socket: UnitState) -> bool:
        """Have *files* in force, both units enabled and up; return whether there was any need.

        *service* and *socket* is how they were before the files were written.
        """
        offset_s = time.time() - self._monotonic()
        paths = [Path(each.path) for each in files]
        steps = due(
            service,
            socket,
            changed={Path(each.path).name for each in files if each.change not in _NO_CHANGES},
            written_s={
                path.name: path.stat().st_mtime - offset_s for path in paths if path.exists()
            },
            is_deaf=_is_deaf(socket),
        )
        if steps.read_anew:
            self._systemctl.read_anew()
        if steps.listen_anew:
            self._systemctl.stop(*UNITS)
        elif steps.restart:
            self._systemctl.start(SYSTEMD_SERVICE, verb="restart")
        if steps.enable:
            self._systemctl.enable()
        if steps.is_any:
            self._systemctl.start(*UNITS)
        return steps.is_any

    def _try_settings(
        self, command: Sequence[str], around: Surroundings, service: UnitState
    ) -> None:
        """Make sure that the daemon takes its settings before the one that runs is ended.

        Raises:
            ServiceError: It does not, and why.
        """
        environ = {**around.environ, **service.environ}
        if service.has_environ_files:  # what they set is not known: leave the file to be checked
            environ = {n: each for n, each in environ.items() if not n.startswith("DEVSYNTH_")}
        refuse_bad_settings(command, environ, mend_of)

    def _installed(self) -> None:
        """Make sure that there is a service.

        Raises:
            NoManager, NotInstalled: There is no manager, or it knows no service.
        """
        self._systemctl.surroundings()
        service, _ = self._systemctl.states()
        if not service.is_known:
            raise NotInstalled(
                f"there is no {SYSTEMD_SERVICE}", hint="install it: devsynthctl service install"
            )


_NO_CHANGES = ("unchanged", "kept")
_UNTRIED = (
    "systemd-run is not there to try what this machine allows for; should the service fail with "
    "NAMESPACE or CAPABILITIES, install that program, and the service again"
)


def _refuse_other_daemon(service: UnitState, socket: UnitState, verb: str) -> None:
    """Make sure that nobody but the service has its socket."""
    if socket.listens_at is not None:
        is_up = service.is_up or socket.is_up
        refuse_other_daemon(socket.listens_at, service.pid, _COMMAND.format(verb), is_up=is_up)


def _is_deaf(socket: UnitState) -> bool:
    """Return whether *socket* listens where nobody finds it: somebody has removed its file."""
    path = socket.listens_at
    return socket.is_up and path is not None and not os.path.lexists(path)
