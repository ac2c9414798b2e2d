"""Secrets, planted wherever they could be, come out nowhere: every op, every command, every log."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from devsynthctl.completion.outline import CommandOutline, read_outline
from tests.process.planted_secrets import found
from tests.process.secret_scenes import (
    NAMES,
    Scene,
    as_a_service,
    behind_a_proxy,
    with_the_key_in_the_environment,
    with_the_key_in_the_file,
)

pytestmark = pytest.mark.timeout(90)

LEFT_OUT = {"shutdown"}
"""Ops that a connection by hand leaves to the command of that name, which ends the daemon."""

WRITTEN_BY_US = ("config.toml", "netrc")


class Heard(NamedTuple):
    """What came out of everything, by where; what servers got; which ops and commands ran."""

    said: dict[str, str]
    headers: list[dict[str, str]]
    ops: set[str]
    offered: set[str]
    commands: set[str]
    modes: dict[str, int]


@pytest.fixture(scope="module")
def heard() -> Iterator[Heard]:
    with tempfile.TemporaryDirectory(prefix="ds-") as made:
        folder = Path(made)
        scene = Scene(folder)
        echo, ops, offered = with_the_key_in_the_file(scene)
        headers = [*echo.headers]
        headers += with_the_key_in_the_environment(scene)
        headers += behind_a_proxy(scene)
        files = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
        modes = {name: path.lstat().st_mode & 0o777 for name, path in files.items()}
        for name, path in files.items():
            if path.is_file() and path.name not in WRITTEN_BY_US:
                scene.keep(name, path.read_bytes().decode("latin-1"))
        as_a_service(scene)
        yield Heard(scene.said, headers, ops, offered, scene.commands, modes)


def commands_of(outline: CommandOutline, path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every command that there is, and what stands below it."""
    for name, below in (outline.commands or {}).items():
        yield " ".join((*path, name))
        yield from commands_of(below, (*path, name))


def test_no_secret_comes_out(heard: Heard) -> None:
    leaks = {where: found(NAMES, text) for where, text in heard.said.items()}
    assert {where: names for where, names in leaks.items() if names} == {}


def test_each_op_and_each_command_was_tried(heard: Heard) -> None:
    assert heard.ops | LEFT_OUT == heard.offered
    assert set(commands_of(read_outline())) <= heard.commands


def test_the_keys_came_where_they_are_needed_and_nothing_else_did(heard: Heard) -> None:
    """A login of ``.netrc`` or of a URL is not sent, nor is what only the shell has."""
    got = " ".join(value for each in heard.headers for value in each.values())
    assert found(NAMES, got) == {"File", "Next", "Environment", "Proxy"}


def test_what_is_written_is_the_owners_alone(heard: Heard) -> None:
    """The config file, cache, lock, socket and reports, and the folders made for them."""
    names = {Path(path).name for path in heard.modes}
    assert {"config.toml", "s.sock", "s.sock.lock", "devsynth", "report.md"} <= names
    assert {path: oct(mode) for path, mode in heard.modes.items() if mode & 0o077} == {}
