"""The config file, whatever is in it: read, edited, and taken over by a daemon that runs."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypothesis import strategies as st

from devsynthd.settings.document import given_by_toml
from devsynthd.settings.edits import edited
from devsynthd.settings.schema import BY_KEY
from devsynthd.settings.sources import Given, combine
from devsynthd.settings.values import check_value
from devsynthd.wire.errors import ConfigInvalid
from devsynthd.wire.requests import Value
from tests.fuzz.answers import is_clean
from tests.fuzz.daemons import Fuzzed, fuzzed
from tests.fuzz.target import Check, Target
from tests.fuzz.toml import EDITS, FILES
from tests.support.daemon import environ_of

Edit = tuple[str, Value | None]

LIMIT_S = 20
CONFIG_INVALID = 78
_BOM = "\ufeff"


def check_file(sample: tuple[bytes, Edit]) -> None:
    """Fail if reading the file of *sample*, or editing it, does not end as it must."""
    data, (key, value) = sample
    given = given_by_toml(data, "F")
    for error in given.errors:
        assert error.startswith("F"), error
        assert is_clean(error), error
    for name, read in given.values.items():
        assert check_value(BY_KEY[name], read) == read
    try:
        combine(flags=Given(), environment=Given(), file=given)
    except ConfigInvalid:
        assert given.errors
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return
    try:
        new = edited(text, {key: value}, "F")
    except ConfigInvalid:
        return
    check_edit(text, new, key)
    assert given_by_toml(new.encode(), "F").values.get(key) == value


def check_edit(old: str, new: str, key: str) -> None:
    """Fail if the edit of *key* that made *new* of *old* has lost or changed any other line."""
    before, after = (text.removeprefix(_BOM).splitlines() for text in (old, new))
    start = _alike(before, after)
    end = _alike(before[start:][::-1], after[start:][::-1])
    lost = before[start : len(before) - end]
    table, name = BY_KEY[key].table, BY_KEY[key].name
    was = tomllib.loads(old.removeprefix(_BOM)).get(table, {})
    is_inline = len(lost) == 1 and "{" in lost[0]
    if name not in was:
        assert not lost or is_inline, lost
    elif lost and not any(mark in lost[0] for mark in ('"""', "'''")):
        assert len(lost) == 1, lost  # a text of several lines has three quotation marks
        head, mark, note = lost[0].partition("#")
        is_note = mark and not head.count('"') % 2 and not head.count("'") % 2
        now = after[start : len(after) - end]
        assert not is_note or any(line.endswith(f"#{note}") for line in now), (lost, now)
    assert new.startswith(_BOM) == old.startswith(_BOM)


def _alike(one: list[str], other: list[str]) -> int:
    """Return how many lines at the start of both are the same."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


@contextmanager
def _read(_: Path) -> Iterator[Check]:
    yield check_file


# A daemon that runs ---------------------------------------------------------------------------


class Owner:
    """Writes the file of *daemon*, at *path*, as people do, and has the daemon write it."""

    def __init__(self, daemon: Fuzzed, path: Path) -> None:
        self._daemon, self._path = daemon, path

    def check(self, sample: tuple[bytes, Edit]) -> None:
        """Fail unless the daemon takes over what is valid, refuses what is not, and lives."""
        data, (key, value) = sample
        draft = self._path.with_suffix(".draft")
        draft.write_bytes(data)
        draft.replace(self._path)
        reply = self._daemon.ask(op="reload", id=1)
        given = given_by_toml(data, "F")
        if reply["type"] == "result":
            assert not given.errors
        else:
            assert reply["error"]["code"] == "config_invalid", reply
            assert given.errors or _names_files(given), reply
        status = self._daemon.ask(op="status", id=2)["result"]["config"]
        assert status["valid"] == (reply["type"] == "result"), status
        if status["valid"]:
            self._check_in_force(given)
        self._check_edit(data, key, value)
        self._daemon.check_log()

    def _check_in_force(self, given: Given) -> None:
        settings = self._daemon.ask(op="config_get", id=3)["result"]["settings"]
        for info in settings:
            if info["source"] == "file" and not info["secret"]:
                assert info["value"] == given.values[info["key"]], info

    def _check_edit(self, data: bytes, key: str, value: Value | None) -> None:
        reply = self._daemon.ask(op="config_set", id=4, key=key, value=value)
        after = self._path.read_bytes()
        if reply["type"] == "error":
            assert reply["error"]["code"] == "config_invalid", reply
            assert after == data
        else:
            check_edit(data.decode(), after.decode(), key)
            assert given_by_toml(after, "F").values.get(key) == value


def _names_files(given: Given) -> bool:
    return any(given.values.get(key) for key in ("llm_ca_bundle", "embedded_model_path"))


@contextmanager
def _running(folder: Path) -> Iterator[Check]:
    environ = {
        "DEVSYNTH_LLM_PROVIDER": "openai",
        "DEVSYNTH_LLM_API_BASE": "http://127.0.0.1:1",
        "DEVSYNTH_DAEMON_LOG_LEVEL": "warning",
    }
    with fuzzed(folder, environ) as daemon:
        yield Owner(daemon, folder / "config.toml").check


# The commands ---------------------------------------------------------------------------------


@contextmanager
def _commands(folder: Path) -> Iterator[Check]:
    path = folder / "config.toml"
    base = {name: each for name, each in os.environ.items() if not name.startswith("DEVSYNTH_")}
    environ = {**base, **environ_of(folder)}
    run: Callable[..., subprocess.CompletedProcess[bytes]] = subprocess.run
    checks = (("devsynthctl", "config", "check"), ("devsynthd", "--check"))

    def check(sample: tuple[bytes, bool]) -> None:
        data, is_daemon = sample
        path.write_bytes(data)
        command = [sys.executable, "-m", *checks[is_daemon]]
        ended = run(command, env=environ, capture_output=True, timeout=LIMIT_S, check=False)
        given = given_by_toml(data, str(path))
        said = (ended.stdout + ended.stderr).decode()
        assert ended.returncode in (0, CONFIG_INVALID), said
        assert ended.returncode or not given.errors, said
        assert not ended.returncode or given.errors or _names_files(given) or is_daemon, said
        assert all(is_clean(line) for line in said.split("\n")), said
        assert "Traceback" not in said

    yield check


SETTINGS = Target("settings", st.tuples(FILES, EDITS), _read, share=30)
RELOADS = Target("reloads", st.tuples(FILES, EDITS), _running, share=3)
CHECKS = Target("checks", st.tuples(FILES, st.booleans()), _commands, share=1)
