"""The agent of launchd, made for one installation out of the one that is shipped. Pure."""

import math
import plistlib
import re
from pathlib import Path
from xml.parsers.expat import ExpatError

from msgspec import Struct

from devsynthctl.service.wish import Spec, Told, told_by

_EXIT_S = 30
"""The ExitTimeOut of the agent that is shipped."""
_LEEWAY_S = 10


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


class LoadedFrom(Struct, frozen=True):
    """What stands in an agent's file: its *command*, and the seconds that it has to end."""

    command: tuple[str, ...] = ()
    exit_s: float = _EXIT_S

    @property
    def told(self) -> Told:
        """What its daemon is told."""
        return told_by(self.command)


def agent(template: str, spec: Spec, crash_log: Path, grace_s: float = 0) -> str:
    """Return the agent that runs *spec*, and whose words outside of the log go to *crash_log*.

    *grace_s* is the daemon's own, after which it ends by itself; launchd is to wait for that.
    """
    values = plistlib.loads(template.encode())
    values["ProgramArguments"] = [*spec.daemon, *spec.options]
    values["StandardErrorPath"] = str(crash_log)
    values["ExitTimeOut"] = max(values["ExitTimeOut"], math.ceil(grace_s) + _LEEWAY_S)
    return plistlib.dumps(values, sort_keys=False).decode()


def loaded_from(text: str) -> LoadedFrom:
    """Return what stands in *text*, an agent's file; what is shipped if it cannot be read."""
    try:
        values = plistlib.loads(text.encode())
        command = tuple(str(each) for each in values.get("ProgramArguments", ()))
        return LoadedFrom(command, float(values.get("ExitTimeOut", _EXIT_S)))
    except (ValueError, TypeError, AttributeError, ExpatError):
        return LoadedFrom()


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
