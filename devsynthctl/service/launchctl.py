"""What ``launchctl`` is told, and what it answers."""

import time
from collections.abc import Callable
from pathlib import Path

from devsynthctl.service.agent import AgentState, agent_state
from devsynthctl.service.errors import NoManager, ServiceError
from devsynthctl.service.runner import NOT_FOUND, Done, Runner
from devsynthd.host.service_names import LAUNCHD_LABEL

SETTLE_S = 10.0
"""How long launchd may take to let go of an agent once its ExitTimeOut is over; in that time it
answers a new one with an input/output error."""

_LOOK_S = 0.2


class Launchctl:
    """Tells the launchd of the user *uid* what becomes of the agent, by commands of *runner*.

    Args:
        runner: Runs the commands.
        uid: The user whose launchd it is.
        exit_s: Returns the agent's ExitTimeOut, in seconds.
        sleep: Waits for so many seconds; launchd tells nobody when it is done.
        monotonic: Seconds.
    """

    def __init__(
        self,
        runner: Runner,
        uid: int,
        exit_s: Callable[[], float],
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._runner, self._uid, self._exit_s = runner, uid, exit_s
        self._sleep, self._monotonic = sleep, monotonic

    def domain(self) -> str:
        """Return where agents of the user are: their desktop, else what they have over ssh.

        Raises:
            NoManager: There is no launchd.
        """
        for domain in (f"gui/{self._uid}", f"user/{self._uid}"):
            done = self._run("print", domain)
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

    def state(self, domain: str) -> AgentState | None:
        """Return how the agent is; null if launchd does not know it."""
        done = self._run("print", _target(domain))
        return agent_state(done.stdout) if done.status == 0 else None

    def load(self, domain: str, plist: Path) -> None:
        """Have launchd read the agent in *plist*, and with that start it.

        Raises:
            ServiceError: It refuses to.
        """
        self._run("enable", _target(domain))
        done = Done(1, "", "")

        def is_loaded() -> bool:
            nonlocal done
            done = self._run("bootstrap", domain, str(plist))
            return done.status == 0 or self.state(domain) is not None

        if not self._wait(is_loaded):
            raise ServiceError(
                f"launchd does not load {plist}: {done.reason}",
                hint=f"is the file whole? plutil -lint '{plist}'",
            )

    def unload(self, domain: str) -> None:
        """Have launchd stop and forget the agent; it does so in its own time.

        Raises:
            ServiceError: It does not.
        """
        done = self._run("bootout", _target(domain))
        if not self._wait(lambda: self.state(domain) is None):
            raise ServiceError(
                f"launchd does not let {LAUNCHD_LABEL} go: {done.reason}",
                hint=f"launchctl print {_target(domain)}",
            )

    def start(self, domain: str) -> None:
        """Have launchd start the agent, which it knows.

        Raises:
            ServiceError: It does not.
        """
        done = self._run("kickstart", _target(domain))
        if done.status != 0:
            raise ServiceError(
                f"launchd does not start {LAUNCHD_LABEL}: {done.reason}",
                hint="its log tells why: devsynthctl service logs",
            )

    def end(self, domain: str, pid: int | None) -> None:
        """Have the agent, of *pid*, finish what it does, and wait until it has, or time is up."""
        self._run("kill", "SIGTERM", _target(domain))
        self._wait(lambda: (now := self.state(domain)) is None or now.pid != pid)

    def _wait(self, is_so: Callable[[], bool]) -> bool:
        """Return true as soon as *is_so*, false when launchd has had all the time that it needs."""
        deadline = self._monotonic() + self._exit_s() + SETTLE_S
        while not is_so():
            if self._monotonic() >= deadline:
                return False
            self._sleep(_LOOK_S)
        return True

    def _run(self, *words: str) -> Done:
        return self._runner.run(["launchctl", *words])


def _target(domain: str) -> str:
    return f"{domain}/{LAUNCHD_LABEL}"
