"""The agent has keys that launchd knows, with values of their types."""

import plistlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from devsynthctl.service.agent import LoadedFrom, agent, loaded_from
from devsynthctl.service.marks import is_ours, stamped
from devsynthctl.service.shipped import shipped
from devsynthctl.service.wish import Spec, Told
from devsynthd.host.service_names import LAUNCHD_LABEL
from devsynthd.settings.schema import Settings

TEMPLATE = shipped("launchd", "devsynthd.plist")

# launchd.plist(5), "XML property list keys" and below: those that an agent of a user's may have.
LIMITS: dict[str, Any] = dict.fromkeys(
    (
        "Core",
        "CPU",
        "Data",
        "FileSize",
        "MemoryLock",
        "NumberOfFiles",
        "NumberOfProcesses",
        "ResidentSetSize",
        "Stack",
    ),
    int,
)
KEYS: dict[str, Any] = {
    "Label": str,
    "Program": str,
    "ProgramArguments": [str],
    "EnableGlobbing": bool,
    "LimitLoadToSessionType": str,
    "KeepAlive": {"SuccessfulExit": bool, "Crashed": bool, "PathState": {}, "OtherJobEnabled": {}},
    "RunAtLoad": bool,
    "WorkingDirectory": str,
    "EnvironmentVariables": {},
    "Umask": int,
    "TimeOut": int,
    "ExitTimeOut": int,
    "ThrottleInterval": int,
    "StandardInPath": str,
    "StandardOutPath": str,
    "StandardErrorPath": str,
    "SoftResourceLimits": LIMITS,
    "HardResourceLimits": LIMITS,
    "Nice": int,
    "ProcessType": str,
    "AbandonProcessGroup": bool,
    "LowPriorityIO": bool,
    "LowPriorityBackgroundIO": bool,
    "LegacyTimers": bool,
}
PROCESS_TYPES = {"Background", "Standard", "Adaptive", "Interactive"}


def misfits(values: Mapping[str, Any], known: Mapping[str, Any], path: str = "") -> list[str]:
    """Return the keys in *values* that are not *known*, or have a value of another type."""
    found = []
    for key, value in values.items():
        match known.get(key):
            case type() as kind:
                fits = type(value) is kind
            case [kind]:
                fits = isinstance(value, list) and all(type(each) is kind for each in value)
            case dict() as inner:
                fits = isinstance(value, dict)
                found += misfits(value, inner, f"{path}{key}.") if fits else []
            case _:
                fits = False
        if not fits:
            found.append(f"{path}{key}")
    return found


def test_every_key_is_one_of_launchds() -> None:
    values = plistlib.loads(TEMPLATE.encode())

    assert misfits(values, KEYS) == []
    assert values["ProcessType"] in PROCESS_TYPES
    assert values["Label"] == LAUNCHD_LABEL


@pytest.mark.parametrize(
    ("values", "wrong"),
    [
        ({"Lable": "x"}, ["Lable"]),
        ({"Umask": "077"}, ["Umask"]),
        ({"RunAtLoad": 1}, ["RunAtLoad"]),
        ({"ProgramArguments": [1]}, ["ProgramArguments"]),
        ({"KeepAlive": {"SuccessfullExit": False}}, ["KeepAlive.SuccessfullExit"]),
    ],
)
def test_a_wrong_key_would_be_noticed(values: dict[str, Any], wrong: list[str]) -> None:
    assert misfits(values, KEYS) == wrong


def test_the_daemon_is_given_its_grace_and_nobody_else_its_files() -> None:
    values = plistlib.loads(TEMPLATE.encode())
    assert values["ExitTimeOut"] > Settings().daemon_shutdown_grace
    assert values["Umask"] == 0o077
    assert values["KeepAlive"] == {"SuccessfulExit": False}


def test_the_agent_of_an_installation() -> None:
    spec = Spec(
        daemon=("/a b/python", "-P", "-m", "devsynthd"),
        ctl=("ctl",),
        socket=Path("/s & t"),
        config=Path("/c.toml"),
    )

    text = stamped(agent(TEMPLATE, spec, Path("/logs/crashes.log")))
    values = plistlib.loads(text.encode())

    assert is_ours(text)
    assert misfits(values, KEYS) == []
    assert values["ProgramArguments"] == [
        *("/a b/python", "-P", "-m", "devsynthd"),
        *("--socket", "/s & t", "--config", "/c.toml"),
    ]
    assert values["StandardErrorPath"] == "/logs/crashes.log"
    assert values["RunAtLoad"] is True


@pytest.mark.parametrize(("grace_s", "exit_s"), [(0, 30), (10.0, 30), (20.5, 31), (600, 610)])
def test_launchd_waits_longer_than_the_daemon_itself(grace_s: float, exit_s: int) -> None:
    spec = Spec(daemon=("d",), ctl=("ctl",), socket=Path("/s"))

    text = agent(TEMPLATE, spec, Path("/c"), grace_s)

    assert plistlib.loads(text.encode())["ExitTimeOut"] == exit_s
    assert (loaded_from(text).told, loaded_from(text).exit_s) == (Told(socket=Path("/s")), exit_s)


@pytest.mark.parametrize("text", ["", "mine", "<?xml version='1.0'?><plist><dict>", "bplist00"])
def test_an_agent_that_cannot_be_read_is_taken_for_the_shipped_one(text: str) -> None:
    assert loaded_from(text) == LoadedFrom((), 30)
