"""``devsynthd`` on disks that are full or read-only: it serves, and says what is not kept."""

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthctl import Client
from devsynthd.host.service_names import LAUNCHD_LABEL
from devsynthd.wire.errors import ConfigInvalid
from tests.process.conftest import asks
from tests.process.surroundings import full_disk, read_only_disk, seen_by, with_mounts
from tests.support.daemon import DaemonProcess, daemon_process, environ_of
from tests.support.needs import missing
from tests.support.upstream_server import UpstreamServer

CONTENT = "# mine\n[llm]\nmax_tokens = 5 # few\n"


def warnings(daemon: DaemonProcess) -> list[str]:
    """Return what the daemon has warned of so far."""
    events = [json.loads(line) for line in daemon.log().splitlines()]
    return [event["message"] for event in events if event["level"] not in ("info", "debug")]


def assert_nothing_is_written(daemon: DaemonProcess, reason: str, hint: str) -> None:
    """Check that what should be written is refused with *reason*, and serving goes on."""
    with Client(daemon.endpoint) as client:
        with pytest.raises(ConfigInvalid) as refused:
            client.config_set("llm_max_tokens", 77)
        selected = client.select("m", persist=True)

        assert reason in str(refused.value)
        assert "config.toml" in str(refused.value)
        assert hint in str(refused.value.hint)
        assert client.config_get("llm_max_tokens").settings[0].value == 5
        assert (selected.persisted, selected.selection.model) == (False, "m")
        assert [warning.code for warning in selected.warnings] == ["not_persisted"]
        assert reason in selected.warnings[0].message
        assert client.generate("hi").text == "Hello world"


# The config file -------------------------------------------------------------------------------


FILLED = "! cat /dev/zero >disk/ballast 2>/dev/null"
NO_NAMES = """
mount -t tmpfs -o nr_inodes=3,mode=700 tmpfs {0}
touch {0}/config.toml {0}/last
"""


@pytest.mark.parametrize(
    ("script", "config", "state"),
    [
        (full_disk(Path("disk")), "disk/config.toml", "full"),
        (full_disk(Path("disk")), "disk/not/there/config.toml", "full"),
        (full_disk(Path("disk"), keep="ln -s ../mine disk/config.toml"), "disk/config.toml", "ok"),
        (full_disk(Path("disk")) + "ln -s disk/mine config.toml", "config.toml", "full"),
        ("mkdir disk" + NO_NAMES.format("disk"), "disk/config.toml", "full"),
        (read_only_disk(Path("disk"), keep=FILLED), "disk/config.toml", "locked"),
    ],
    ids=["full", "no folder", "link away", "link to it", "no names left", "full, but read-only"],
)
def test_doctor_sees_where_nothing_can_be_saved(
    short_dir: Path, script: str, config: str, state: str
) -> None:
    within = with_mounts(f"cd {short_dir}; {script}")
    outcome = subprocess.run(
        [*within, sys.executable, "-m", "devsynthctl", "doctor", "--json"],
        env=environ_of(short_dir, {"DEVSYNTH_CONFIG": str(short_dir / config)}),
        capture_output=True,
        check=False,
        timeout=15,
    )
    check = {each["name"]: each for each in json.loads(outcome.stdout)["checks"]}["config"]
    told = f"{check['message']} -> {check['remedy']}"
    assert check["state"] == ("ok" if state == "ok" else "warn"), told
    assert (f"df -h {short_dir}/disk;" in told) == (state == "full")
    assert (f"chmod u+w {short_dir}/disk;" in told) == (state == "locked")


def test_a_full_disk_leaves_the_config_file_as_it_is(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    disk = short_dir / "disk"
    file = disk / "config.toml"
    script = full_disk(disk, keep=f"printf %s '{CONTENT}' >{file}")
    environ = {**asks(upstream), "DEVSYNTH_CONFIG": str(file)}
    with daemon_process(short_dir, environ=environ, within=with_mounts(script)) as daemon:
        seen = seen_by(daemon.process.pid, file)
        assert_nothing_is_written(daemon, "No space left on device", "make room")
        assert seen.read_text() == CONTENT
        assert sorted(each.name for each in seen.parent.iterdir()) == ["ballast", "config.toml"]

        (seen.parent / "ballast").unlink()
        assert daemon.ctl("config", "set", "llm_max_tokens", "77").returncode == 0
        assert seen.read_text() == CONTENT.replace("5", "77")


def test_a_read_only_disk_leaves_the_config_file_as_it_is(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    disk = short_dir / "disk"
    file = disk / "config.toml"
    script = read_only_disk(disk, keep=f"printf %s '{CONTENT}' >{file}")
    environ = {**asks(upstream), "DEVSYNTH_CONFIG": str(file)}
    with daemon_process(short_dir, environ=environ, within=with_mounts(script)) as daemon:
        assert_nothing_is_written(daemon, "read-only here", "devsynthctl service install")
        assert seen_by(daemon.process.pid, file).read_text() == CONTENT


def test_files_that_may_not_grow_stay_as_they_are(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    """By RLIMIT_FSIZE, whose signal ends a process that does not look after it."""
    if sys.platform != "linux":
        missing("a way to limit another process", "run the tests on Linux")
    file = Path(daemon.environ["DEVSYNTH_CONFIG"])
    file.write_text(CONTENT)
    daemon.wait_logged("llm_max_tokens from 1024 to 5")
    resource.prlimit(daemon.process.pid, resource.RLIMIT_FSIZE, (0, 0))

    assert_nothing_is_written(daemon, "File too large", "make room")
    assert file.read_text() == CONTENT
    upstream.models = ["another"]
    assert daemon.ctl("models", "--refresh", "-q").stdout == "another\n"
    assert "File too large" in daemon.wait_logged("will not survive a restart")


def test_without_a_daemon_it_is_told_in_the_same_words(short_dir: Path) -> None:
    disk = short_dir / "disk"
    file = disk / "config.toml"
    script = full_disk(disk, keep=f"printf %s '{CONTENT}' >{file}")
    done = subprocess.run(
        [
            *with_mounts(script),
            *("sh", "-c", '"$@"; status=$?; cat "$DEVSYNTH_CONFIG"; exit $status', "sh"),
            *(sys.executable, "-m", "devsynthctl", "config", "set", "llm_max_tokens", "77"),
        ],
        env=environ_of(short_dir, {"DEVSYNTH_CONFIG": str(file)}),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, done.stdout) == (78, CONTENT)
    assert "No space left on device" in done.stderr
    assert "make room" in done.stderr
    assert "Traceback" not in done.stderr


# The log's own file ----------------------------------------------------------------------------


def test_a_log_file_without_room_leaves_its_lines_to_standard_error(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """As under launchd, where it has a file of its own."""
    disk = short_dir / "state"
    environ = {
        **asks(upstream),
        "XPC_SERVICE_NAME": LAUNCHD_LABEL,
        "XDG_STATE_HOME": str(disk),
    }
    within = with_mounts(full_disk(disk))
    with daemon_process(short_dir, environ=environ, within=within) as daemon:
        daemon.wait_logged("is reachable")
        said = daemon.log()
        assert said.count("(No space left on device): logging to standard error") == 1
        assert "listening on" in said

        seen = seen_by(daemon.process.pid, disk)
        (seen / "ballast").unlink()
        assert daemon.ctl("reload").returncode == 0
        (file,) = seen.rglob("devsynthd.log")
        kept = [json.loads(line)["message"] for line in file.read_text().splitlines()]
        assert "reload done" in kept
        assert "reload done" not in daemon.log()


# The cache -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("disk", "reason"),
    [(full_disk, "No space left on device"), (read_only_disk, "Read-only file system")],
    ids=["full", "read-only"],
)
def test_a_cache_that_is_not_kept_is_one_warning(
    short_dir: Path, upstream: UpstreamServer, disk: Callable[[Path], str], reason: str
) -> None:
    environ = asks(upstream)
    (short_dir / "config.toml").touch()  # one that is missing is another warning
    with daemon_process(
        short_dir, environ=environ, within=with_mounts(disk(short_dir / "cache"))
    ) as daemon:
        daemon.wait_logged("is reachable")
        with Client(daemon.endpoint) as client:
            for model in ("a", "b", "c"):
                upstream.models = [model]
                assert [each.id for each in client.list(refresh=True).models] == [model]
        (warning,) = warnings(daemon)
        assert reason in warning
        assert str(short_dir / "cache" / "devsynth") in warning
        assert "will not survive a restart" in warning
        daemon.ctl("shutdown")
        assert daemon.wait() == 0


def test_a_cache_that_has_room_in_the_end_is_kept(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    disk = short_dir / "cache"
    within = with_mounts(full_disk(disk))
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        daemon.wait_logged("will not survive a restart")
        daemon.wait_logged("is reachable")
        seen = seen_by(daemon.process.pid, disk)
        # An open folder keeps the disk, which else goes with the last process that sees it.
        folder = os.open(seen, os.O_RDONLY | os.O_DIRECTORY)
        try:
            (seen / "ballast").unlink()
            assert daemon.ctl("shutdown").returncode == 0
            assert daemon.wait() == 0

            inside = os.open("devsynth", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
            with os.scandir(inside) as files:
                (kept,) = files
                assert kept.stat().st_size > 0
            os.close(inside)
        finally:
            os.close(folder)
