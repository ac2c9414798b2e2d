"""``devsynthd`` where the system grants it little: files, network, ``/proc``, rights, letters."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.process.conftest import Run, asks
from tests.process.surroundings import after, with_mounts, without_network
from tests.support.daemon import DaemonProcess, daemon_process
from tests.support.upstream_server import UpstreamServer, free_port


def serves(daemon: DaemonProcess) -> bool:
    """Return whether *daemon* generates, keeps a setting, and ends as it should."""
    generated = daemon.ctl("generate", "hi")
    kept = daemon.ctl("config", "set", "llm_max_tokens", "77")
    ended = daemon.ctl("shutdown")
    return (generated.stdout, kept.returncode, ended.returncode, daemon.wait()) == (
        "Hello world\n",
        *(0, 0, 0),
    )


# Open files ------------------------------------------------------------------------------------


def test_too_few_open_files_are_refused(short_dir: Path) -> None:
    """Else libzmq ends the process as soon as some clients have come."""
    daemon = DaemonProcess(short_dir, within=after("ulimit -n 63"))
    try:
        assert daemon.wait() == 78
    finally:
        daemon.close()

    assert "only 63 files may be open at a time, devsynthd needs 64" in daemon.log()
    assert "LimitNOFILE=" in daemon.log()


def test_few_open_files_are_a_warning(short_dir: Path, upstream: UpstreamServer) -> None:
    within = after("ulimit -n 64")
    (short_dir / "config.toml").touch()  # one that is missing is another warning
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        assert "only 64 files" in daemon.wait_logged("may be open at a time")
        assert serves(daemon)
        assert daemon.log().count("warning") == 1


# Network, /proc --------------------------------------------------------------------------------


def test_without_a_network_it_answers_and_says_so_once(short_dir: Path) -> None:
    environ = asks(f"http://127.0.0.1:{free_port()}")
    (short_dir / "config.toml").touch()  # one that is missing is another warning
    with daemon_process(short_dir, environ=environ, within=without_network()) as daemon:
        daemon.wait_logged("network is unreachable")
        for _ in range(2):
            assert daemon.ctl("models", "--refresh", "-q").stdout == "local_model\n"
        refused = daemon.ctl("generate", "hi")

        assert refused.returncode == 4
        assert "network is unreachable" in refused.stderr
        assert daemon.log().count("warning") == 1
        daemon.ctl("shutdown")
        assert daemon.wait() == 0


def test_it_needs_no_proc(short_dir: Path, upstream: UpstreamServer) -> None:
    within = with_mounts("umount --lazy /proc")
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        assert json.loads(daemon.ctl("status", "--json").stdout)["memory_bytes"] is None
        assert serves(daemon)


def test_it_needs_no_dev(short_dir: Path, upstream: UpstreamServer) -> None:
    within = with_mounts("mount -t tmpfs tmpfs /dev")
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        assert serves(daemon)


# Where it is started, and how ------------------------------------------------------------------


def test_a_current_directory_that_is_gone_is_not_missed(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    within = after(f"mkdir {short_dir}/gone; cd {short_dir}/gone; rmdir {short_dir}/gone")
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        assert serves(daemon)


@pytest.mark.parametrize("mask", ["000", "022"])
def test_no_file_is_for_others_whatever_the_umask(
    short_dir: Path, upstream: UpstreamServer, mask: str
) -> None:
    environ = {
        **asks(upstream),
        "DEVSYNTH_SOCKET": str(short_dir / "run" / "s.sock"),
        "DEVSYNTH_CONFIG": str(short_dir / "etc" / "config.toml"),
    }
    with daemon_process(short_dir, environ=environ, within=after(f"umask {mask}")) as daemon:
        daemon.wait_logged("is reachable")
        assert daemon.ctl("select", "m").returncode == 0
        modes = {
            str(each.relative_to(short_dir)): stat.S_IMODE(each.stat().st_mode)
            for each in short_dir.rglob("*")
        }
        daemon.ctl("shutdown")
        assert daemon.wait() == 0

    assert {"cache/devsynth", "etc/config.toml", "run/s.sock", "run/s.sock.lock"} <= modes.keys()
    assert [name for name, mode in modes.items() if mode & 0o077] == []


def test_what_a_umask_takes_from_its_owner_is_given_back(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """Else it could not read after a restart what it has written."""
    environ = {**asks(upstream), "DEVSYNTH_CONFIG": str(short_dir / "etc" / "config.toml")}
    with daemon_process(short_dir, environ=environ, within=after("umask 777")) as daemon:
        daemon.wait_logged("is reachable")
        assert daemon.ctl("select", "m").returncode == 0
        daemon.ctl("shutdown")
        assert daemon.wait() == 0

    (cache,) = (short_dir / "cache" / "devsynth").iterdir()
    kept = [short_dir / "etc" / "config.toml", cache]
    assert [stat.S_IMODE(each.stat().st_mode) for each in kept] == [0o600] * 2
    assert [stat.S_IMODE(each.parent.stat().st_mode) for each in kept] == [0o700] * 2


def test_letters_need_no_locale(short_dir: Path, upstream: UpstreamServer) -> None:
    upstream.models = ["größe"]
    folder = short_dir / "für"
    folder.mkdir()
    environ = {
        **asks(upstream, llm_model="größe", daemon_log_format="text"),
        "DEVSYNTH_CONFIG": str(folder / "config.toml"),
        "LC_ALL": "C",
    }
    with daemon_process(short_dir, environ=environ) as daemon:
        assert serves(daemon)
        assert "max_tokens" in (folder / "config.toml").read_text()
    (exchange,) = upstream.generations
    assert exchange.body["model"] == "größe"


def test_a_relative_config_file_in_a_folder_that_is_gone_is_an_error(
    devsynthd: Run, short_dir: Path
) -> None:
    gone = short_dir / "gone"
    gone.mkdir()
    before = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    os.chdir(gone)
    gone.rmdir()
    try:
        done = devsynthd("--config", "config.toml")
    finally:
        os.fchdir(before)
        os.close(before)

    assert done.returncode == 78
    assert "the current directory is gone" in done.stderr
