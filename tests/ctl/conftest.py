"""Sockets and processes of the tests in this folder."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def socket_path(short_dir: Path) -> Path:
    """Return where the daemon of this test listens."""
    return short_dir / "d.sock"


@pytest.fixture
def command(socket_path: Path) -> list[str]:
    """Return the command that talks to the daemon of this test."""
    return [sys.executable, "-m", "devsynthctl", "--socket", str(socket_path)]


@pytest.fixture
def run(command: list[str]) -> Run:
    """Return a function that runs the command to its end, with *stdin* as its standard input."""

    def run(*args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *args],
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            encoding="utf-8",
            check=False,
            timeout=15,
        )

    return run


@pytest.fixture
def config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that a daemon started from this shell would read; it is not there yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("DEVSYNTH_CONFIG", str(path))
    return path
