"""The daemon as an agent of the user's own launchd."""

import time
from collections.abc import Callable
from pathlib import Path

from devsynthctl.service.agent import AgentState, LoadedFrom, agent, agent_state, loaded_from
from devsynthctl.service.errors import NoManager, NotInstalled, ServiceError
from devsynthctl.service.following import show_file
from devsynthctl.service.knocking import refuse_other_daemon
from devsynthctl.service.marks import is_ours, stamped
from devsynthctl.service.placing import (
    originals_of,
    place,
    plan,
    read,
    refuse_edited,
    refuse_foreign,
    take_away,
)
from devsynthctl.service.reports import InstallReport, ServiceStatus, UninstallReport, UnitFile
from devsynthctl.service.runner import NOT_FOUND, Done, Runner
from devsynthctl.service.shipped import shipped
from devsynthctl.service.trial import refuse_bad_settings
from devsynthctl.service.units import refuse_open_folder
from devsynthctl.service.wish import Told, Wish, spec_of
from devsynthd.host.log_file import log_file
from devsynthd.host.paths import config_path, runtime_dir
from devsynthd.host.service_names import LAUNCHD_LABEL
from devsynthd.settings.file import given_by_file
from devsynthd.settings.schema import Settings
from devsynthd.wire.errors import ConfigInvalid

PLIST = f"{LAUNCHD_LABEL}.plist"
SETTLE_S = 10.0
"""How long launchd may take to let go of an agent once its ExitTimeOut is over; in that time it
answers a new one with an input/output error."""

_LOOK_S = 0.2
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
        self._runner, self._uid, self._write = runner, uid, write
        self._sleep, self._monotonic = sleep, monotonic
        self._home = home
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
        domain = self._domain()
        before = self._state(domain)
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
            self._unload(domain)
        files = [place(each) for each in planned]
        if changed:
            self._load(domain)
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
        domain = self._domain()
        if not force:
            refuse_foreign([self._plist])
        was_loaded = self._state(domain) is not None
        if was_loaded:
            self._unload(domain)
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
        domain = self._domain()
        self._need_installed()
        state = self._state(domain)
        self._refuse_other_daemon(self._socket(), state, "start")
        if state is None:
            self._load(domain)
        else:
            self._kickstart(domain)

    def stop(self) -> None:
        """Stop the daemon until it is started, or until the next login.

        Raises:
            NoManager, NotInstalled: There is nothing to stop it with, or nothing to stop.
            ServiceError: It does not stop, and why.
        """
        domain = self._domain()
        self._need_installed()
        if self._state(domain) is not None:
            self._unload(domain)

    def restart(self) -> None:
        """Stop the daemon in order, and start it again.

        Not by ``kickstart -k``, which kills at once: what is being generated would be lost.

        Raises:
            NoManager, NotInstalled: There is nothing to start it with, or nothing to start.
            ServiceError: It does not start, and why.
        """
        domain = self._domain()
        self._need_installed()
        state = self._state(domain)
        self._refuse_other_daemon(self._socket(), state, "restart")
        if state is None:
            self._load(domain)
            return
        if state.is_running:
            refuse_bad_settings(
                self._loaded_from().command, {"HOME": str(self._home)}, lambda _: _MEND
            )
            self._launchctl("kill", "SIGTERM", self._target(domain))
            self._wait(lambda: (now := self._state(domain)) is None or now.pid != state.pid)
        self._kickstart(domain)

    def status(self) -> ServiceStatus:
        """Return how the service is; whether it answers is left open.

        Raises:
            NoManager: There is no launchd.
        """
        domain = self._domain()
        content, state = read(self._plist), self._state(domain)
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

    def _load(self, domain: str) -> None:
        """Have launchd read the agent, and with that start it.

        Raises:
            ServiceError: It refuses to.
        """
        self._launchctl("enable", self._target(domain))
        done = Done(1, "", "")

        def is_loaded() -> bool:
            nonlocal done
            done = self._launchctl("bootstrap", domain, str(self._plist))
            return done.status == 0 or self._state(domain) is not None

        if not self._wait(is_loaded):
            raise ServiceError(
                f"launchd does not load {self._plist}: {done.reason}",
                hint=f"is the file whole? plutil -lint '{self._plist}'",
            )

    def _unload(self, domain: str) -> None:
        """Have launchd stop and forget the agent; it does so in its own time.

        Raises:
            ServiceError: It does not.
        """
        done = self._launchctl("bootout", self._target(domain))
        if not self._wait(lambda: self._state(domain) is None):
            raise ServiceError(
                f"launchd does not let {LAUNCHD_LABEL} go: {done.reason}",
                hint=f"launchctl print {self._target(domain)}",
            )

    def _kickstart(self, domain: str) -> None:
        done = self._launchctl("kickstart", self._target(domain))
        if done.status != 0:
            raise ServiceError(
                f"launchd does not start {LAUNCHD_LABEL}: {done.reason}",
                hint="its log tells why: devsynthctl service logs",
            )

    def _wait(self, is_so: Callable[[], bool]) -> bool:
        """Return true as soon as *is_so*, false when launchd has had all the time that it needs."""
        deadline = self._monotonic() + self._loaded_from().exit_s + SETTLE_S
        while not is_so():
            if self._monotonic() >= deadline:
                return False
            self._sleep(_LOOK_S)
        return True

    def _state(self, domain: str) -> AgentState | None:
        """Return how the agent is; null if launchd does not know it."""
        done = self._launchctl("print", self._target(domain))
        return agent_state(done.stdout) if done.status == 0 else None

    def _domain(self) -> str:
        """Return where agents of the user are: their desktop, else what they have over ssh.

        Raises:
            NoManager: There is no launchd.
        """
        for domain in (f"gui/{self._uid}", f"user/{self._uid}"):
            done = self._launchctl("print", domain)
            if done.status == NOT_FOUND:
                raise NoManager(
                    "this machine has no launchd to run the daemon as a service",
                    hint="run `devsynthd` in the foreground",
                )
            if done.status == 0:
                return domain
        raise NoManager(
            f"your own launchd cannot be reached: {done.reason}",
            hint="log in as this user, or run `devsynthd` in the foreground",
        )

    def _need_installed(self) -> None:
        if read(self._plist) is None:
            raise NotInstalled(
                f"there is no {self._plist}", hint="install it: devsynthctl service install"
            )

    def _target(self, domain: str) -> str:
        return f"{domain}/{LAUNCHD_LABEL}"

    def _launchctl(self, *words: str) -> Done:
        return self._runner.run(["launchctl", *words])


def _grace_of(config: Path) -> float:
    """Return the seconds of grace that the file *config* gives the daemon."""
    given = given_by_file(config)
    value = given.values.get("daemon_shutdown_grace") if given else None
    return value if isinstance(value, (int, float)) else Settings().daemon_shutdown_grace
