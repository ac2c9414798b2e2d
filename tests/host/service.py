"""The installed service as its user sees it, and LM Studio beside it."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from devsynthd.host.service_names import SYSTEMD_SERVICE, SYSTEMD_SOCKET
from tests.lmstudio.studio import LMStudio
from tests.support.installed import Installed, installed_for_user

ANSWER_LIMIT_S = 30
CONFIG = Path(".config/devsynth/config.toml")
UNITS = Path(".config/systemd/user")
MODEL = "qwen/qwen3-4b"


@dataclass(frozen=True)
class Service(Installed):
    """The user, whose LM Studio runs with one model loaded."""

    studio: LMStudio

    def install(self) -> None:
        """Install the service; it runs afterwards."""
        self.told("devsynthctl", "service", "install")

    def show(self, *properties: str, unit: str = SYSTEMD_SERVICE) -> dict[str, str]:
        """Return what systemd knows of a unit."""
        names = ",".join(properties)
        lines = self.told("systemctl", "--user", "show", f"--property={names}", unit).splitlines()
        return dict(line.split("=", 1) for line in lines)

    @property
    def pid(self) -> int:
        """That of the daemon, as systemd knows it; 0 if there is none."""
        return int(self.show("MainPID")["MainPID"])

    def states(self) -> tuple[str, str]:
        """Return the active states of the service and of its socket, once it has none between.

        A daemon answers before systemd hears that it is ready.
        """
        if self.show("ActiveState")["ActiveState"] == "activating":
            self.run("systemctl", "--user", "start", SYSTEMD_SERVICE)  # it waits
        return (
            self.show("ActiveState")["ActiveState"],
            self.show("ActiveState", unit=SYSTEMD_SOCKET)["ActiveState"],
        )

    def ping(self) -> int:
        """Return the pid of the daemon that answers; one that is being started may take a while."""
        said = self.told("devsynthctl", "--timeout", str(ANSWER_LIMIT_S), "--json", "ping")
        pid: int = json.loads(said)["pid"]
        return pid

    def journal(self, *matches: str) -> list[Mapping[str, Any]]:
        """Return the service's lines that match, each with all its fields."""
        self.box.run(["journalctl", "--sync"]).check_returncode()
        query = ("journalctl", "--user", "--output=json", f"--unit={SYSTEMD_SERVICE}", *matches)
        return [json.loads(line) for line in self.told(*query).splitlines()]

    def drop_in(self, name: str, *lines: str) -> None:
        """Add lines to the service's unit, as ``systemctl edit`` does."""
        self.write(
            UNITS / f"{SYSTEMD_SERVICE}.d" / f"{name}.conf", "\n".join(["[Service]", *lines, ""])
        )
        self.told("systemctl", "--user", "daemon-reload")


@contextmanager
def service_of_a_user(wheel: Path) -> Iterator[Service]:
    """Install *wheel* for a user with LM Studio on its usual port; the service is not installed."""
    with installed_for_user(wheel) as installed:
        studio = LMStudio(port=1234)
        studio.load(MODEL)
        studio.script.echo = True
        installed.box.in_its_network(studio.start)
        try:
            yield Service(installed.box, installed.user, studio)
        finally:
            studio.stop()
