"""Prints the lowest versions that pyproject.toml allows, as constraints for pip.

    lowest.py [PYPROJECT]

It fails if something that is needed to run has no lower bound.
"""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

FOR_USERS = ("embedded",)
"""The extras that people install, not those for working on the project."""

_AT_LEAST = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*>=\s*(?P<version>[^\s,;]+)")


def requirements(project: Mapping[str, Any]) -> list[str]:
    """Return what the table ``[project]`` says that an installation needs."""
    extras = project.get("optional-dependencies", {})
    return [*project["dependencies"], *(each for name in FOR_USERS for each in extras[name])]


def constraints(needed: Iterable[str]) -> Iterator[str]:
    """Yield the lowest version of each requirement in *needed*.

    Raises:
        ValueError: One has no lower bound.
    """
    for requirement in needed:
        found = _AT_LEAST.match(requirement)
        if found is None:
            raise ValueError(f"{requirement!r} has no lower bound: write NAME>=VERSION")
        yield f"{found['name']}=={found['version']}"


def main(path: Path) -> int:
    """Print the constraints for the project file *path*; return the exit status."""
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    try:
        lines = list(constraints(requirements(project)))
    except ValueError as exc:
        print(f"{path}: {exc}", file=sys.stderr)
        return 1
    print(*lines, sep="\n")
    return 0


if __name__ == "__main__":
    given = sys.argv[1:]
    sys.exit(main(Path(given[0]) if given else Path(__file__).parents[1] / "pyproject.toml"))
