"""Which service manager this machine has."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from devsynthctl.service.errors import NoManager
from devsynthctl.service.reports import InstallReport, ServiceStatus, UninstallReport
from devsynthctl.service.runner import Runner
from devsynthctl.service.wish import Told, Wish
from devsynthd.host.paths import runtime_dir


class Manager(Protocol):
    """Installs the daemon as a service, and runs it. All of it may raise `ServiceError`."""

    @property
    def name(self) -> str:
        """What it is called."""

    def environ(self) -> dict[str, str]:
        """Return the variables that a service gets."""

    def told(self) -> Told:
        """Return what an installed service was told to use; nothing if there is none."""

    def install(self, wish: Wish, *, force: bool, linger: bool) -> InstallReport:
        """Install *wish* and start it."""

    def uninstall(self, *, force: bool) -> UninstallReport:
        """Stop it and take it away."""

    def start(self) -> None:
        """Start it."""

    def stop(self) -> None:
        """Stop it, so that nothing starts it again."""

    def restart(self) -> None:
        """Stop it in order, and start it again."""

    def status(self) -> ServiceStatus:
        """Return how it is, without asking the daemon."""

    def show_logs(self, *, lines: int, follow: bool, as_json: bool) -> None:
        """Show the log."""


def manager_of(
    platform: str, environ: Mapping[str, str], write: Callable[[str], None], uid: int | None = None
) -> Manager:
    """Return the service manager of *platform*, as ``sys.platform`` has it.

    Args:
        platform: What decides.
        environ: The variables of this shell.
        write: Where lines of a log go that no other command shows.
        uid: The user; null: who runs this.

    Raises:
        NoManager: None is known for it.
    """
    uid = os.getuid() if uid is None else uid
    match platform:
        case "linux":
            from devsynthctl.service.systemd import Systemd  # noqa: PLC0415 - only one is needed

            # After `su` and in cron it is not set, but the manager may well be there.
            own = {"XDG_RUNTIME_DIR": str(runtime_dir(environ, uid))}
            return Systemd(Runner({**environ, **own}), uid)
        case "darwin":
            from devsynthctl.service.launchd import Launchd  # noqa: PLC0415 - as above

            return Launchd(Runner(environ), uid, Path(environ.get("HOME", "~")).expanduser(), write)
        case _:
            raise NoManager(
                f"there is no service manager known for {platform}",
                hint="run `devsynthd` in the foreground, or under the machine's own supervisor",
            )
