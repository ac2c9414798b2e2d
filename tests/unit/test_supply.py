"""What is installed along: every dependency has a lower bound, and there are no others."""

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from tests.unit.test_layers import files, imported

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
NEEDED = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["embedded"]]


def lowest(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run what prints the lowest versions."""
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "lowest.py"), *arguments],
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


def test_each_dependency_has_a_lower_bound_that_can_be_tried() -> None:
    """`make lowest` runs the tests on them."""
    done = lowest()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [each.replace(">=", "==") for each in NEEDED]


@pytest.mark.parametrize("requirement", ["click", "click<9", "click==8.2.1", "click>8"])
def test_one_without_is_refused(tmp_path: Path, requirement: str) -> None:
    file = tmp_path / "pyproject.toml"
    file.write_text(
        f'[project]\ndependencies = ["{requirement}"]\noptional-dependencies.embedded = []\n'
    )

    done = lowest(str(file))

    assert (done.returncode, done.stdout) == (1, "")
    assert f"'{requirement}' has no lower bound" in done.stderr


def names(requirements: list[str]) -> set[str]:
    """Return the distributions that *requirements* name, as they are compared."""
    return {
        re.sub(r"[-_.]+", "-", re.split(r"[\s><=\[]", each)[0]).lower() for each in requirements
    }


def test_nothing_is_imported_that_is_not_asked_for() -> None:
    """What only comes along with another package may be gone in its next version."""
    providers = metadata.packages_distributions()
    unknown = {
        module for module in modules() if not names(providers.get(module, [])) & names(NEEDED)
    }
    assert unknown == set()


def modules() -> Iterator[str]:
    """Yield what the daemon and its commands import that is neither ours nor Python's."""
    for package in ("devsynthd", "devsynthctl"):
        for file in files(package):
            tops = {name.split(".")[0] for name in imported(file)}
            yield from tops - sys.stdlib_module_names - {"devsynthd", "devsynthctl"}
