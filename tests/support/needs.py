"""What a test needs of its machine: without it a failure in CI, a skip that says why elsewhere."""

import importlib.util
import os
import shutil
from pathlib import Path
from typing import NoReturn

import pytest


def missing(what: str, remedy: str) -> NoReturn:
    """End this test because *what* is not to be had here; *remedy* is what a person can do."""
    reason = f"{what} is missing here: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def need(command: str, remedy: str) -> str:
    """Return the path of *command*."""
    return shutil.which(command) or missing(f"the command {command}", remedy)


def need_package(name: str, remedy: str) -> Path:
    """Return the folder of the Python package *name*, which is not imported."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        missing(f"the Python package {name}", remedy)
    return Path(spec.submodule_search_locations[0])


def need_root() -> None:
    """Make sure that this test runs as root."""
    if os.geteuid() != 0:
        missing("the right to mount and to become another user", "run the tests as root")
