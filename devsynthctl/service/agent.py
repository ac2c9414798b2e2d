"""The agent of launchd, made for one installation out of the one that is shipped. Pure."""

import plistlib
import re
from pathlib import Path

from msgspec import Struct

from devsynthctl.service.wish import Spec


class AgentState(Struct, frozen=True):
    """How the agent is, in what ``launchctl print`` says; null is what it does not tell."""

    state: str
    pid: int | None
    runs: int | None
    exit_status: int | None

    @property
    def is_running(self) -> bool:
        """Whether there is a process of it, be it one that is about to end."""
        return self.pid is not None


def agent(template: str, spec: Spec, crash_log: Path) -> str:
    """Return the agent that runs *spec*, and whose words outside of the log go to *crash_log*."""
    values = plistlib.loads(template.encode())
    values["ProgramArguments"] = [*spec.daemon, *spec.options]
    values["StandardErrorPath"] = str(crash_log)
    return plistlib.dumps(values, sort_keys=False).decode()


def agent_state(shown: str) -> AgentState:
    """Return the state in what ``launchctl print`` of the agent has *shown*.

    Its lines are meant for people, so only those of the first level are read (one tab), and any
    may be missing.
    """
    values = dict(re.findall(r"^\t([a-z ]+) = (.*)$", shown, re.MULTILINE))
    return AgentState(
        state=values.get("state", "unknown"),
        pid=_count(values.get("pid", "")),
        runs=_count(values.get("runs", "")),
        exit_status=_count(values.get("last exit code", "")),
    )


def _count(text: str) -> int | None:
    """Return the number that *text* begins with, as in ``78: EX_CONFIG``."""
    found = re.match(r"\d+", text, re.ASCII)
    return int(found[0]) if found else None
