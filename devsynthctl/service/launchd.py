"""The daemon as an agent of the user's own launchd."""

import time
from collections.abc import Callable
from pathlib import Path

from devsynthctl.service.agent import AgentState, LoadedFrom, agent, loaded_from
from devsynthctl.service.errors import NotInstalled, ServiceError
from devsynthctl.service.following import show_file
from devsynthctl.service.knocking import refuse_other_daemon
from devsynthctl.service.launchctl import Launchctl
from devsynthctl.service.marks import is_ours, stamped
from devsynthctl.service.placing import (
    originals_of,
    place,
    plan,
    read,
    refuse_edited,
    refuse_foreign,
    refuse_open_folder,
    take_away,
)
from devsynthctl.service.reports import InstallReport, ServiceStatus, UninstallReport, UnitFile
from devsynthctl.service.runner import Runner
from devsynthctl.service.shipped import shipped
from devsynthctl.service.trial import refuse_bad_settings
from devsynthctl.service.wish import Told, Wish, spec_of
from devsynthd.host.log_file import log_file
from devsynthd.host.paths import config_path, runtime_dir
from devsynthd.host.service_names import LAUNCHD_LABEL
from devsynthd.settings.file import given_by_file
from devsynthd.settings.schema import Settings
from devsynthd.wire.errors import ConfigInvalid

PLIST = f"{LAUNCHD_LABEL}.plist"
_MEND = "devsynthctl config check"
_CRASH_LOG = "crashes.log"


class Launchd:
    """Installs and runs the agent through ``launchctl``.

    Args:
        runner: Runs the commands.
        uid: The user whose launchd it is.
        home: Their home directory.
        write: Where lines of the log go.
        sleep: Waits for so many seconds; launchd tells nobody when it is done.
        monotonic: Seconds.
    """

    name = "launchd"

    def __init__(
        self,
        runner: Runner,
        uid: int,
        home: Path,
        write: Callable[[str], None],
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._launchctl = Launchctl(
            runner, uid, lambda: self._loaded_from().exit_s, sleep=sleep, monotonic=monotonic
        )
        self._uid, self._home, self._write, self._sleep = uid, home, write, sleep
        self._plist = home / "Library" / "LaunchAgents" / PLIST

    def environ(self) -> dict[str, str]:
        """Return the variables that a service gets: none of a shell's."""
        return {}

    def told(self) -> Told:
        """Return what an installed service was told to use."""
        return self._loaded_from().told

    def install(self, wish: Wish, *, force: bool, linger: bool) -> InstallReport:
        """Write the agent, and have launchd run it, now and after each login.

        Nothing is done that has been done before. With *force* an agent that a person has edited is
        replaced; *linger* there is none of.

        Raises:
            NoManager: There is no launchd.
            EditedFile: The agent was edited by a person; nothing was changed.
            ServiceError: The rest that may go wrong.
        """
        domain = self._launchctl.domain()
        before = self._launchctl.state(domain)
        crash_log = log_file().with_name(_CRASH_LOG)
        spec = spec_of(
            wish,
            usual_socket=runtime_dir({}, self._uid) / "devsynth" / "devsynthd.sock",
            usual_config=config_path(None, {}),
        )
        refuse_open_folder(wish.socket.parent)
        text = agent(shipped("launchd", PLIST), spec, crash_log, _grace_of(wish.config))
        planned = plan({self._plist: stamped(text)})
        if not force:
            refuse_edited(planned, f"copy {self._plist.name} under another Label")
        self._refuse_other_daemon(wish.socket, before, "install")
        try:
            crash_log.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise ServiceError(
                f"cannot make the folder of the log, {crash_log.parent}: {exc.strerror}",
                hint="make the folder above it writable for this user",
            ) from exc
        changed = before is None or planned[0].state != "current"
        if changed and before is not None:  # first: if that fails, a new attempt finds it undone
            self._launchctl.unload(domain)
        files = [place(each) for each in planned]
        if changed:
            self._launchctl.load(domain, self._plist)
        return InstallReport(
            manager=self.name,
            changed=changed,
            unit=str(self._plist),
            files=files,
            socket=str(wish.socket),
            warnings=["launchd runs agents only while you are logged in"] if linger else [],
        )

    def uninstall(self, *, force: bool) -> UninstallReport:
        """Stop the daemon, and take away what an installation wrote.

        Raises:
            NoManager: There is no launchd.
            EditedFile: The agent was edited by a person; nothing was changed.
            ServiceError: The daemon cannot be stopped, or the file not be removed.
        """
        domain = self._launchctl.domain()
        if not force:
            refuse_foreign([self._plist])
        was_loaded = self._launchctl.state(domain) is not None
        if was_loaded:
            self._launchctl.unload(domain)
        originals = originals_of([self._plist])
        gone = take_away(self._plist, force=force)
        return UninstallReport(
            manager=self.name,
            changed=was_loaded or (gone is not None and gone.change == "removed"),
            files=[gone] if gone else [],
            originals=originals,
        )

    def start(self) -> None:
        """Start the daemon; it may take a moment until it answers.

        Raises:
            NoManager, NotInstalled: There is nothing to start it with, or nothing to start.
            ServiceError: It does not start, and why.
        """
        domain, state = self._found("start")
        if state is None:
            self._launchctl.load(domain, self._plist)
        else:
            self._launchctl.start(domain)

    def stop(self) -> None:
        """Stop the daemon until it is started, or until the next login.

        Raises:
            NoManager, NotInstalled: There is nothing to stop it with, or nothing to stop.
            ServiceError: It does not stop, and why.
        """
        domain = self._launchctl.domain()
        self._need_installed()
        if self._launchctl.state(domain) is not None:
            self._launchctl.unload(domain)

    def restart(self) -> None:
        """Stop the daemon in order, and start it again.

        Not by ``kickstart -k``, which kills at once: what is being generated would be lost.

        Raises:
            NoManager, NotInstalled: There is nothing to start it with, or nothing to start.
            ServiceError: It does not start, and why.
        """
        domain, state = self._found("restart")
        if state is None:
            self._launchctl.load(domain, self._plist)
            return
        if state.is_running:
            refuse_bad_settings(
                self._loaded_from().command, {"HOME": str(self._home)}, lambda _: _MEND
            )
            self._launchctl.end(domain, state.pid)
        self._launchctl.start(domain)

    def status(self) -> ServiceStatus:
        """Return how the service is; whether it answers is left open.

        Raises:
            NoManager: There is no launchd.
        """
        domain = self._launchctl.domain()
        content, state = read(self._plist), self._launchctl.state(domain)
        if content is None and state is None:
            return ServiceStatus(manager=self.name, installed=False)
        own: UnitFile | None = None
        if content is not None:
            own = UnitFile(path=str(self._plist), state="ours" if is_ours(content) else "edited")
        failed = state is not None and not state.is_running and bool(state.exit_status)
        return ServiceStatus(
            manager=self.name,
            installed=content is not None,
            running=state is not None and state.is_running,
            state=state.state if state else "not loaded",
            socket=self._socket(),
            enabled=content is not None,
            files=[own] if own else [],
            pid=state.pid if state else None,
            restarts=max(0, state.runs - 1) if state and state.runs is not None else None,
            result="exit-code" if failed else None,
            exit_status=state.exit_status if failed and state else None,
        )

    def show_logs(self, *, lines: int, follow: bool, as_json: bool) -> None:
        """Write the last *lines* of the log, and with *follow* what comes until Ctrl-C.

        Each is a JSON object in any case.

        Raises:
            ServiceError: There is no log.
        """
        del as_json
        show_file(log_file(), self._write, lines=lines, follow=follow, sleep=self._sleep)

    def _loaded_from(self) -> LoadedFrom:
        return loaded_from(read(self._plist) or "")

    def _socket(self) -> str | None:
        """Return where the service listens; null if this user has no place for that."""
        if told := self.told().socket:
            return str(told)
        try:
            return str(runtime_dir({}, self._uid) / "devsynth" / "devsynthd.sock")
        except ConfigInvalid:
            return None

    def _refuse_other_daemon(
        self, path: Path | str | None, state: AgentState | None, verb: str
    ) -> None:
        """Make sure that nobody but the agent, which is as *state* says, has its socket."""
        if path is not None:
            refuse_other_daemon(
                Path(path),
                state.pid if state else None,
                f"devsynthctl service {verb}",
                is_up=state is not None and state.is_running,
            )

    def _found(self, verb: str) -> tuple[str, AgentState | None]:
        """Return where the agent is and how, if there is one, and no other daemon in its way.

        Raises:
            NoManager, NotInstalled, ServiceError: As the command *verb*.
        """
        domain = self._launchctl.domain()
        self._need_installed()
        state = self._launchctl.state(domain)
        self._refuse_other_daemon(self._socket(), state, verb)
        return domain, state

    def _need_installed(self) -> None:
        if read(self._plist) is None:
            raise NotInstalled(
                f"there is no {self._plist}", hint="install it: devsynthctl service install"
            )


def _grace_of(config: Path) -> float:
    """Return the seconds of grace that the file *config* gives the daemon."""
    given = given_by_file(config)
    value = given.values.get("daemon_shutdown_grace") if given else None
    return value if isinstance(value, (int, float)) else Settings().daemon_shutdown_grace
