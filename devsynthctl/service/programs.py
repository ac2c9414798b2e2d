"""Finds the command that a service should run: one that is still there after an upgrade."""

import os
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from devsynthctl.service.errors import ServiceError
from devsynthctl.service.runner import Runner

DISTRIBUTION = "devsynthd"


class Programs:
    """Where the programs of this installation are.

    Args:
        runner: Tries them; best without variables of this shell that change what Python finds.
        environ: Where ``PATH`` and ``HOME`` are looked up.
        interpreter: The Python that runs this.
        distribution: What is installed.
    """

    def __init__(
        self,
        runner: Runner,
        environ: Mapping[str, str],
        interpreter: str = sys.executable,
        distribution: str = DISTRIBUTION,
    ) -> None:
        self._runner, self._distribution = runner, distribution
        home = environ.get("HOME")
        self._folders = [
            *([Path(home) / ".local" / "bin"] if home else []),
            *(Path(each) for each in environ.get("PATH", "").split(os.pathsep) if each),
        ]
        self._interpreter = interpreter

    def command(self, name: str) -> tuple[str, ...]:
        """Return what runs the program *name*, ``devsynthd`` or ``devsynthctl``.

        That is the script that was installed along with this very package, by its most stable name;
        where there is none, the module of that name, run by this interpreter.

        Raises:
            ServiceError: It does not run outside of this shell.
        """
        script = self._script(name)
        if script is not None:
            command: tuple[str, ...] = (str(stable_name(script, self._folders)),)
        elif self._interpreter:
            # -P: not from the folder that it happens to run in.
            command = (self._interpreter, "-P", "-m", name)
        else:
            raise ServiceError(
                f"the program {name} is not to be found", hint=f"pip install {DISTRIBUTION}"
            )
        tried = self._runner.run([*command, "--version"], folder=Path("/"))
        if tried.status != 0:
            raise ServiceError(
                f"a service could not run `{' '.join(command)}`: {tried.reason}",
                hint=f"install the package: pip install {DISTRIBUTION}",
            )
        return command

    def _script(self, name: str) -> Path | None:
        """Return the script *name* of the installed package."""
        beside = Path(self._interpreter).with_name(name)
        if beside.is_file() and os.access(beside, os.X_OK):
            return beside
        try:
            files = metadata.distribution(self._distribution).files or []
        except metadata.PackageNotFoundError:
            return None
        for file in files:
            if file.name == name and file.parent.name == "bin":
                path = Path(os.path.normpath(str(file.locate())))
                return path if os.access(path, os.X_OK) else None
        return None


def stable_name(script: Path, folders: list[Path]) -> Path:
    """Return the first link in *folders* that leads to *script*, else *script* itself.

    pipx, uv and Homebrew put such links where they stay, while what they lead to may move.
    """
    for folder in folders:
        link = folder / script.name
        if link.is_symlink() and link.is_absolute() and link.resolve() == script.resolve():
            return link
    return script
