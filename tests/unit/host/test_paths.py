import os
import subprocess
import sys
from pathlib import Path

import pytest

from devsynthd.host.paths import absolute, cache_dir, config_path, runtime_dir
from devsynthd.wire.errors import ConfigInvalid
from tests.support.needs import need_root

PROJECT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return a home directory of this test's own, and make it the current one."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_flag_wins_over_the_variable(home: Path) -> None:
    assert config_path("/a.toml", {"DEVSYNTH_CONFIG": "/b.toml"}) == Path("/a.toml")
    assert config_path(None, {"DEVSYNTH_CONFIG": "/b.toml"}) == Path("/b.toml")
    assert config_path(None, {"DEVSYNTH_CONFIG": ""}).is_relative_to(home)


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("~/c.toml", "c.toml"),
        ("c.toml", "c.toml"),
        ("./d/c.toml", "d/c.toml"),
        ("d/../c.toml", "d/../c.toml"),
        ("~nobody-of-that-name/c.toml", "~nobody-of-that-name/c.toml"),
    ],
)
def test_a_given_path_is_made_absolute(home: Path, given: str, path: str) -> None:
    assert config_path(given, {}) == home / path
    assert config_path(None, {"DEVSYNTH_CONFIG": given}) == home / path


def test_an_empty_flag_is_an_error() -> None:
    with pytest.raises(ConfigInvalid, match="--config names no file"):
        config_path("", {"DEVSYNTH_CONFIG": "/b.toml"})


@pytest.mark.skipif(sys.platform == "darwin", reason="macOS has other places")
def test_the_places_of_the_platform(home: Path) -> None:
    assert config_path(None, {}) == home / ".config/devsynth/config.toml"
    assert cache_dir() == home / ".cache/devsynth"


def test_the_places_follow_the_xdg_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/xc")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xk")

    assert config_path(None, {}) == Path("/xc/devsynth/config.toml")
    assert cache_dir() == Path("/xk/devsynth")


def test_the_runtime_dir_is_the_one_that_the_session_names() -> None:
    assert runtime_dir({"XDG_RUNTIME_DIR": "/session"}, os.getuid()) == Path("/session")


@pytest.mark.parametrize("given", ["", "relative/dir"])
def test_else_it_is_the_users_own_one(home: Path, given: str) -> None:
    own = home / "run-user" / str(os.getuid())
    own.mkdir(parents=True)

    found = runtime_dir({"XDG_RUNTIME_DIR": given}, os.getuid(), run_user=home / "run-user")

    assert found == own


def test_else_it_is_in_the_cache(home: Path) -> None:
    stranger = os.getuid() + 1
    (home / "run-user" / str(stranger)).mkdir(parents=True)
    (home / "run-user" / str(os.getuid())).touch()

    in_cache = cache_dir() / "run"
    assert runtime_dir({}, stranger, run_user=home / "run-user") == in_cache
    assert runtime_dir({}, os.getuid(), run_user=home / "run-user") == in_cache
    assert runtime_dir({}, os.getuid(), run_user=home / "nothing") == in_cache


def test_a_relative_path_in_a_deleted_folder_is_an_error(home: Path) -> None:
    (home / "gone").mkdir()
    os.chdir(home / "gone")
    (home / "gone").rmdir()

    with pytest.raises(ConfigInvalid, match="the current directory is gone"):
        absolute("c.toml")


NOBODY_AT_HOME = """
import os, platformdirs
from devsynthd.host.paths import cache_dir, config_path, runtime_dir
from devsynthd.wire.errors import ConfigInvalid
os.setuid(2**31 - 7)  # nobody knows this user
for place in (lambda: config_path(None, {}), cache_dir, lambda: runtime_dir({}, os.getuid())):
    try:
        print(place())
    except ConfigInvalid as exc:
        print(f"{exc}; {exc.hint}")
"""


def test_a_user_without_a_home_is_told_so() -> None:
    need_root()

    done = subprocess.run(
        [sys.executable, "-c", NOBODY_AT_HOME],
        cwd=PROJECT,
        env={},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout == (
        "this user has no home directory for the config; set HOME, or name the file with --config\n"
        "this user has no home directory for the cache; set HOME or XDG_CACHE_HOME\n"
        "this user has neither a runtime directory nor a home, so the socket has no place; "
        "set XDG_RUNTIME_DIR or HOME, or name a path with --socket or DEVSYNTH_SOCKET\n"
    )
