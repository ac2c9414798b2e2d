"""Runs ``devsynthctl doctor`` and tells what it found."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

LIMIT_S = 90.0


class Examined:
    """What a run of ``doctor --json`` came to."""

    def __init__(self, process: "subprocess.CompletedProcess[str]") -> None:
        assert process.stderr == "", process.stderr
        told = json.loads(process.stdout)
        self.status = process.returncode
        self.is_ok: bool = told["ok"]
        self.checks: dict[str, dict[str, Any]] = {each["name"]: each for each in told["checks"]}

    @property
    def states(self) -> dict[str, str]:
        """The state of each check, by its name."""
        return {name: each["state"] for name, each in self.checks.items()}

    def names(self, state: str) -> list[str]:
        """Return the checks that came to *state*."""
        return [name for name, each in self.checks.items() if each["state"] == state]

    def told(self, name: str) -> str:
        """Return what was said of a check, and what mends it."""
        check = self.checks[name]
        return f"{check['message']} -> {check['remedy']}"


def doctor(
    socket: Path | None,
    *args: str,
    environ: Mapping[str, str] | None = None,
    timeout: str | None = None,
) -> "subprocess.CompletedProcess[str]":
    """Run the command for the daemon at *socket*; null: for the user's own."""
    root = ["--socket", str(socket)] if socket else []
    root += ["--timeout", timeout] if timeout else []
    return subprocess.run(
        [sys.executable, "-m", "devsynthctl", *root, "doctor", *args],
        env={**os.environ, **(environ or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=LIMIT_S,
    )


def examined(
    socket: Path | None,
    *args: str,
    environ: Mapping[str, str] | None = None,
    timeout: str | None = None,
) -> Examined:
    """Run it with ``--json``."""
    return Examined(doctor(socket, *args, "--json", environ=environ, timeout=timeout))
