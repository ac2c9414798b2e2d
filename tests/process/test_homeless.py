"""``devsynthd`` for users without a home, a name, a place for the socket or a config file."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process.conftest import asks
from tests.process.surroundings import NOBODY_KNOWS, as_nobody
from tests.support.daemon import daemon_process
from tests.support.needs import need_package, need_root
from tests.support.upstream_server import UpstreamServer

DAEMON = (sys.executable, "-m", "devsynthd")


def runs(*command: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run *command* to its end, with no other variables than *environ*."""
    return subprocess.run(
        command,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


@contextmanager
def belonging_to_nobody(folder: Path) -> Iterator[None]:
    """Let the user that nobody knows own *folder*."""
    need_root()
    os.chown(folder, NOBODY_KNOWS, NOBODY_KNOWS)
    try:
        yield
    finally:
        os.chown(folder, os.getuid(), os.getgid())


# No home ---------------------------------------------------------------------------------------


def test_without_a_home_it_serves_and_says_what_it_does_without(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    keep = {**asks(upstream, llm_max_tokens="9"), "XDG_RUNTIME_DIR": str(short_dir)}
    within = as_nobody(*(f"{name}={value}" for name, value in keep.items()))
    at = {"DEVSYNTH_SOCKET": str(short_dir / "devsynth" / "devsynthd.sock")}
    with (
        belonging_to_nobody(short_dir),
        daemon_process(short_dir, environ=at, within=within) as daemon,
    ):
        line = daemon.wait_logged("no home directory")
        assert "no config file is read and no list of models is kept" in line
        assert "set HOME" in line
        assert daemon.log().count("warning") == 1
        assert daemon.ctl("generate", "hi").stdout == "Hello world\n"
        (exchange,) = upstream.generations
        assert exchange.body["max_tokens"] == 9

        refused = daemon.ctl("config", "set", "llm_max_tokens", "8")
        assert refused.returncode == 78
        assert "cannot be written" in refused.stderr
        assert daemon.ctl("reload").returncode == 0
        assert daemon.ctl("shutdown").returncode == 0
        assert daemon.wait() == 0


def test_a_home_that_is_only_for_the_cache_is_not_asked_for_more(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    keep = {**asks(upstream), "DEVSYNTH_SOCKET": str(short_dir / "s.sock")}
    keep["XDG_CACHE_HOME"] = str(short_dir / "cache")
    within = as_nobody(*(f"{name}={value}" for name, value in keep.items()))
    with (
        belonging_to_nobody(short_dir),
        daemon_process(short_dir, within=within) as daemon,
    ):
        line = daemon.wait_logged("no home directory")
        daemon.wait_logged("is reachable")
        assert daemon.ctl("shutdown").returncode == 0
        assert daemon.wait() == 0
        assert ": no config file is read; set HOME" in line
        assert list((short_dir / "cache" / "devsynth").glob("models-*.json"))


def test_without_any_place_for_the_socket_it_says_what_to_set() -> None:
    done = runs(*as_nobody(), *DAEMON)

    assert done.returncode == 78
    assert "neither a runtime directory nor a home" in done.stderr
    assert "XDG_RUNTIME_DIR" in done.stderr
    assert "--socket" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_is_not_there_is_made(short_dir: Path, upstream: UpstreamServer) -> None:
    """As with a new user whose home is made at the first login."""
    home = short_dir / "h"
    socket = home / ".cache" / "devsynth" / "run" / "devsynth" / "devsynthd.sock"
    keep = {**asks(upstream), "HOME": str(home)}
    within = as_nobody(*(f"{name}={value}" for name, value in keep.items()))
    at = {"DEVSYNTH_SOCKET": str(socket)}
    with (
        belonging_to_nobody(short_dir),
        daemon_process(short_dir, environ=at, within=within) as daemon,
    ):
        assert daemon.ctl("generate", "hi").stdout == "Hello world\n"
        assert daemon.ctl("config", "set", "llm_max_tokens", "8").returncode == 0
        assert daemon.ctl("shutdown").returncode == 0
        assert daemon.wait() == 0

    assert "max_tokens = 8" in (home / ".config" / "devsynth" / "config.toml").read_text()


@pytest.mark.parametrize("name", ["HOME", "XDG_RUNTIME_DIR"])
def test_a_place_that_cannot_be_had_is_named(name: str) -> None:
    done = runs(*as_nobody(f"{name}=/proc/none"), *DAEMON)

    assert done.returncode == 1
    assert "cannot make the socket's directory /proc/none/" in done.stderr
    assert "--socket" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_runtime_directory_of_somebody_else_is_named(short_dir: Path) -> None:
    """What `su` leaves in the environment."""
    need_root()
    done = runs(*as_nobody(f"XDG_RUNTIME_DIR={short_dir}"), *DAEMON)

    assert done.returncode == 1
    assert f"cannot make the socket's directory {short_dir}/devsynth" in done.stderr
    assert "Permission denied" in done.stderr


def test_a_model_file_in_a_home_that_nobody_has_is_named(short_dir: Path) -> None:
    need_package("xllamacpp", "pip install -e '.[embedded]'")
    keep = [f"XDG_RUNTIME_DIR={short_dir}", "DEVSYNTH_EMBEDDED_ENABLED=always"]
    done = runs(*as_nobody(*keep, "DEVSYNTH_EMBEDDED_MODEL_PATH=~/m.gguf"), *DAEMON)

    assert done.returncode == 78
    assert "~/m.gguf is not a file that can be read" in done.stderr
    assert "Traceback" not in done.stderr


# The config file -------------------------------------------------------------------------------

UNREADABLE = f"""
import os, sys
import devsynthd.command, devsynthd.daemon
import configparser  # platformdirs may want it later, from where this user may not read
os.setuid({NOBODY_KNOWS})
devsynthd.command.command(prog_name="devsynthd")
"""


def test_a_config_file_that_may_not_be_read_is_an_error(short_dir: Path) -> None:
    """Not the defaults: what it forbids might be done then."""
    need_root()
    file = short_dir / "config.toml"
    file.write_text("[llm]\n")
    file.chmod(0o600)
    short_dir.chmod(0o755)

    done = runs(
        *(sys.executable, "-c", UNREADABLE, "--config", str(file)),
        *("--socket", str(short_dir / "s.sock")),
    )

    assert done.returncode == 78
    assert f"{file} cannot be read: Permission denied" in done.stderr
    assert f"hint: make it readable for this user: chmod u+r {file}" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_can_no_longer_be_read_leaves_the_settings_as_they_are(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    file = short_dir / "config.toml"
    file.write_text("[llm]\nmax_tokens = 9\n")
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        file.unlink()
        file.symlink_to(file)

        assert "Too many levels" in daemon.wait_logged("the settings stay as they were")
        assert daemon.ctl("config", "get", "llm_max_tokens").stdout == "9\n"


def test_the_folder_of_the_config_file_may_come_later(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    file = short_dir / "not" / "yet" / "config.toml"
    environ = {**asks(upstream), "DEVSYNTH_CONFIG": str(file)}
    with daemon_process(short_dir, environ=environ) as daemon:
        daemon.wait_logged("is reachable")
        (warning,) = [line for line in daemon.log().splitlines() if "warning" in line]
        assert f"{file}, which was named as the config file, is not there" in warning
        file.parent.mkdir(parents=True)
        file.write_text("[llm]\nmax_tokens = 7\n")
        daemon.wait_logged("llm_max_tokens from 1024 to 7")
