"""Runs the commands of service managers."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from msgspec import Struct

from devsynthctl.service.errors import ServiceError

ASK_LIMIT_S = 30.0
"""How long a command may take that asks for something."""

JOB_LIMIT_S = 600.0
"""The same of one that starts or stops the daemon: running generations may have long to finish."""

NOT_FOUND = 127


class Done(Struct, frozen=True):
    """How a command has ended, and what it wrote."""

    status: int
    stdout: str
    stderr: str

    @property
    def reason(self) -> str:
        """What it complained of, in a line."""
        said = " ".join((self.stderr or self.stdout).split())
        return said or f"exit status {self.status}"


class Runner:
    """Runs commands with the environment *environ*, in English."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = {**environ, "LC_ALL": "C.UTF-8", "SYSTEMD_COLORS": "0"}

    def run(
        self, command: Sequence[str], limit_s: float = ASK_LIMIT_S, *, folder: Path | None = None
    ) -> Done:
        """Run *command* in *folder* to its end; its status is `NOT_FOUND` if there is none.

        Raises:
            ServiceError: It takes longer than *limit_s* seconds.
        """
        try:
            done = subprocess.run(  # noqa: S603 - fixed commands, and those of this installation
                command,
                env=self._environ,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                encoding="utf-8",
                errors="replace",
                check=False,
                timeout=limit_s,
            )
        except subprocess.TimeoutExpired as exc:
            raise ServiceError(
                f"`{' '.join(command)}` has not ended in {limit_s:.0f} s",
                hint="run it by hand to see what it waits for",
            ) from exc
        except OSError as exc:
            return Done(NOT_FOUND, "", f"{command[0]}: {exc.strerror}")
        return Done(done.returncode, done.stdout, done.stderr)

    def become(self, command: Sequence[str]) -> NoReturn:
        """Go on as *command*, so that it has the terminal, Ctrl-C and the exit status.

        Raises:
            ServiceError: It cannot be run.
        """
        sys.stdout.flush()
        try:
            os.execvpe(command[0], list(command), self._environ)  # noqa: S606 - no shell is wanted
        except OSError as exc:
            raise ServiceError(
                f"cannot run {command[0]}: {exc.strerror}", hint=f"is {command[0]} installed?"
            ) from exc
