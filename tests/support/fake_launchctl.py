"""A stand-in for ``launchctl``: it records what it is told, and behaves as the real one is slow to.

What it knows stands in ``launchd.json`` in the folder that ``FAKE_LAUNCHD`` names. Like the real
one it lets go of an agent some time after ``bootout``: here, after it was looked at twice, during
which ``bootstrap`` fails with an input/output error. It never starts a process.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

LEAVING_LOOKS = 2
PID = 4242
NOT_FOUND = 113
IO_ERROR = 5
USAGE = 64


def install(folder: Path, *, desktop: bool = True) -> dict[str, str]:
    """Put the command into *folder*, and return the variables of a shell that meets it.

    *desktop*: whether somebody is logged in at the screen.
    """
    program = folder / "bin" / "launchctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nexec '{sys.executable}' -IS '{__file__}' \"$@\"\n")
    program.chmod(0o755)
    _write(folder, {"calls": [], "desktop": desktop, "agent": None})
    return environ(folder)


def environ(folder: Path) -> dict[str, str]:
    """Return the variables of a shell that meets the one in *folder*."""
    return {"PATH": str(folder / "bin"), "FAKE_LAUNCHD": str(folder)}


def calls(folder: Path) -> list[str]:
    """Return what it was told so far, but for looks; and forget it."""
    state = _read(folder)
    told = [each for each in state["calls"] if not each.startswith("print ")]
    _write(folder, state | {"calls": []})
    return told


def change_agent(folder: Path, **fields: object) -> None:
    """Have the agent's state differ, as when its process has ended."""
    state = _read(folder)
    state["agent"] |= fields
    _write(folder, state)


def _read(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads((folder / "launchd.json").read_text())
    return state


def _write(folder: Path, state: dict[str, Any]) -> None:
    (folder / "launchd.json").write_text(json.dumps(state))


def _main(folder: Path, words: list[str]) -> int:
    state = _read(folder)
    state["calls"].append(" ".join(words))
    status = _obey(state, words)
    _write(folder, state)
    return status


def _obey(state: dict[str, Any], words: list[str]) -> int:
    agent = state["agent"]
    match words:
        case ["print", domain] if domain.count("/") == 1:
            return 0 if state["desktop"] or domain.startswith("user/") else NOT_FOUND
        case ["enable", _]:
            return 0
        case ["bootstrap", _, plist] if agent is None:
            Path(plist).read_bytes()
            state["agent"] = {"state": "running", "pid": PID, "runs": 1, "exit": None}
            return 0
        case ["bootstrap", _, _]:
            sys.stderr.write("Bootstrap failed: 5: Input/output error\n")
            return IO_ERROR
        case _ if agent is None:
            sys.stderr.write("Could not find service in domain\n")
            return NOT_FOUND
        case _:
            return _obey_of(state, agent, words[0])


def _obey_of(state: dict[str, Any], agent: dict[str, Any], verb: str) -> int:
    """Do *verb* with the *agent* that is there."""
    match verb:
        case "print":
            _print(agent)
            agent["looks"] = agent.get("looks", 0) - 1
            if agent["looks"] == 0 and not agent.get("stuck"):
                state["agent"] = None
        case "bootout":
            agent |= {"state": "SIGTERMed", "looks": LEAVING_LOOKS}
        case "kill":
            agent |= {"state": "not running", "pid": None, "exit": 0}
        case "kickstart":
            agent |= {"state": "running", "pid": PID + 1, "runs": agent["runs"] + 1}
        case _:
            return USAGE
    return 0


def _print(agent: dict[str, Any]) -> None:
    lines = {
        "state": agent["state"],
        "runs": agent["runs"],
        "pid": agent["pid"],
        "last exit code": "(never exited)" if agent["exit"] is None else agent["exit"],
    }
    body = "".join(f"\t{key} = {value}\n" for key, value in lines.items() if value is not None)
    sys.stdout.write(f"gui/501/devsynthd = {{\n{body}}}\n")


if __name__ == "__main__":
    sys.exit(_main(Path(os.environ["FAKE_LAUNCHD"]), sys.argv[1:]))
