"""What ``systemctl --user`` and its kin are asked, and what they answer."""

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from devsynthctl.exits import EXIT_STATUS
from devsynthctl.service.errors import NoManager, ServiceError
from devsynthctl.service.runner import ASK_LIMIT_S, JOB_LIMIT_S, NOT_FOUND, Done, Runner
from devsynthctl.service.unit_state import PROPERTIES, UnitState, unit_state, variables
from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET

EDIT = f"systemctl --user edit {SYSTEMD_SERVICE}"
UNITS = (SYSTEMD_SOCKET, SYSTEMD_SERVICE)


class Surroundings(Struct, frozen=True):
    """What the manager starts services with: its variables, and its folders."""

    environ: dict[str, str]
    config_home: Path
    runtime_dir: Path

    @property
    def home(self) -> Path:
        """The user's home folder."""
        return Path(self.environ.get("HOME", "/"))

    @property
    def units(self) -> Path:
        """Where the user's own units are."""
        return self.config_home / "systemd" / "user"


class Systemctl:
    """Asks the service manager of the user *uid*, by commands that *runner* runs."""

    def __init__(self, runner: Runner, uid: int) -> None:
        self._runner, self._uid = runner, uid

    def surroundings(self) -> Surroundings:
        """Return what services are started with.

        Raises:
            NoManager: The manager cannot be reached.
        """
        shown = self._run("show-environment")
        if shown.status != 0:
            raise _no_manager(shown)
        environ = variables(shown.stdout)
        # systemd ignores it likewise if it is not absolute.
        config_home = Path(environ.get("XDG_CONFIG_HOME", ""))
        if not config_home.is_absolute():
            config_home = Path(environ.get("HOME", "/"), ".config")
        return Surroundings(
            environ=environ,
            config_home=config_home,
            runtime_dir=Path(environ.get("XDG_RUNTIME_DIR", f"/run/user/{self._uid}")),
        )

    def states(self) -> tuple[UnitState, UnitState]:
        """Return how the service and its socket are."""
        service, socket = (
            unit_state(name, self._run("show", name, f"--property={','.join(PROPERTIES)}").stdout)
            for name in (SYSTEMD_SERVICE, SYSTEMD_SOCKET)
        )
        return service, socket

    def start(self, *names: str, verb: str = "start") -> None:
        """Start or restart the units *names*, and return when they are up.

        Raises:
            ServiceError: One is not, and why.
        """
        self.forget_failures()  # those of before count no more: a person asks for it
        done = self._run(verb, *names, limit_s=JOB_LIMIT_S)
        if done.status != 0:
            raise self._no_start(done)

    def stop(self, *names: str) -> None:
        """Stop the units *names* in one transaction, and return when they have ended.

        Raises:
            ServiceError: They do not.
        """
        self._checked(f"systemd does not stop {' '.join(names)}", "stop", *names)

    def enable(self) -> None:
        """Have both units start by themselves.

        Raises:
            ServiceError: They will not, and why.
        """
        self._checked(f"systemd does not enable {SYSTEMD_SERVICE}", "enable", *UNITS)

    def disable(self, *names: str) -> None:
        """Have the units *names* not start by themselves any more."""
        self._run("disable", *names)

    def read_anew(self) -> None:
        """Have the files of all units read.

        Raises:
            ServiceError: They cannot be.
        """
        self._checked("systemd does not read its units anew", "daemon-reload")

    def forget_failures(self) -> None:
        """Have units that have failed, or too often, count as new."""
        self._run("reset-failed", *UNITS)  # it fails itself where there is nothing to forget

    def can_set_up(self, settings: Sequence[str]) -> bool | None:
        """Return whether this machine lets a user's service have *settings*.

        Null where that cannot be tried.
        """
        options = [f"--property={each}" for each in settings]
        command = ["systemd-run", "--user", "--wait", "--collect", "--quiet", *options, "true"]
        status = self._runner.run(command).status
        return None if status == NOT_FOUND else status == 0

    def lingers(self) -> bool | None:
        """Return whether services go on after logging out; null if that cannot be told."""
        done = self._runner.run(
            ["loginctl", "show-user", str(self._uid), "--property=Linger", "--value"]
        )
        return {"yes": True, "no": False}.get(done.stdout.strip()) if done.status == 0 else None

    def linger(self) -> None:
        """Have services go on after logging out.

        Raises:
            ServiceError: This user may not decide that.
        """
        done = self._runner.run(["loginctl", "enable-linger", str(self._uid)])
        if done.status != 0:
            raise ServiceError(
                f"the service runs, but ends when you log out: {done.reason}",
                hint=f"as root: loginctl enable-linger {self._uid}",
            )

    def _no_start(self, done: Done) -> ServiceError:
        service, _ = self.states()
        said = f": {service.text}" if service.text and service.result else ""
        if service.exit_status == EXIT_STATUS["config_invalid"]:
            return ServiceError(
                f"{SYSTEMD_SERVICE} does not start: its configuration is not valid{said}",
                hint=f"mend it: {mend_of(service.text)}; then: devsynthctl service start",
            )
        ended = f", exit status {service.exit_status}" if service.exit_status else ""
        ended = f", {service.signal}" if service.signal else ended
        reason = f"{service.result}{ended}" if service.result else done.reason
        return ServiceError(
            f"{SYSTEMD_SERVICE} does not start ({reason}){said}",
            hint="its log tells why: devsynthctl service logs",
        )

    def _checked(self, what: str, *words: str) -> None:
        done = self._run(*words, limit_s=JOB_LIMIT_S)
        if done.status != 0:
            raise ServiceError(f"{what}: {done.reason}", hint="devsynthctl service status")

    def _run(self, *words: str, limit_s: float = ASK_LIMIT_S) -> Done:
        return self._runner.run(["systemctl", "--user", *words], limit_s)


def mend_of(reason: str) -> str:
    """Return what mends settings that the daemon refuses for this *reason*, in its words."""
    # So it tells a variable, which is in no file of ours, from a line of the config file.
    return EDIT if reason.startswith("DEVSYNTH_") else "devsynthctl config check"


def _no_manager(done: Done) -> NoManager:
    if done.status == NOT_FOUND:
        return NoManager(
            "this machine has no systemd to run the daemon as a service",
            hint="run `devsynthd` in the foreground, or under the machine's own supervisor",
        )
    return NoManager(
        f"your own service manager cannot be reached: {done.reason}",
        hint="after `su`, in cron and in containers there is none: log in (as another user: "
        "`machinectl shell USER@`), or have it always run, as root: `loginctl enable-linger USER`; "
        "or run `devsynthd` in the foreground",
    )
