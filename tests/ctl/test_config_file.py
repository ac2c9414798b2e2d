"""``config path`` and ``check``, and ``reload``, with a daemon."""

import json
from pathlib import Path

import pytest

from tests.ctl.conftest import Run
from tests.ctl.settings_replies import STATUS_PATH, with_config
from tests.ctl.test_command import serving
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import STATUS


def test_the_path_is_the_daemon_s(run: Run, socket_path: Path, config_file: Path) -> None:
    with FakeDaemon(socket_path, serving(status=STATUS)):
        process = run("config", "path")
        as_json = run("config", "path", "--json")
    assert process.stdout == f"{STATUS_PATH}\n"
    assert process.stderr == (
        f"devsynthctl: the daemon reads {STATUS_PATH}; one started from this shell would read "
        f"{config_file}\n"
    )
    assert (json.loads(as_json.stdout), as_json.stderr) == ({"path": STATUS_PATH}, "")


def test_the_same_path_by_a_link_is_no_other(
    run: Run, socket_path: Path, config_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    theirs = tmp_path / "link" / config_file.name
    with FakeDaemon(socket_path, serving(status=with_config(path=str(theirs)))):
        process = run("config", "path")
    assert (process.stdout, process.stderr) == (f"{theirs}\n", "")


def test_check_looks_at_the_daemon_s_file(run: Run, socket_path: Path, tmp_path: Path) -> None:
    file = tmp_path / "theirs.toml"
    file.write_text("[llm]\nmodel = 5\nmodle = 'a'\n")
    with FakeDaemon(socket_path, serving(status=with_config(path=str(file)))):
        process = run("config", "check")
        file.write_text("[llm]\nmodel = 'a'\n")
        valid = run("config", "check")
    assert (process.returncode, process.stdout) == (78, "")
    told = [line.split(": ")[:2] for line in process.stderr.splitlines()]
    assert told == [["devsynthctl", f"{file}, line 2"], ["devsynthctl", f"{file}, line 3"]]
    assert (valid.returncode, valid.stdout, valid.stderr) == (0, f"{file} is valid\n", "")


@pytest.mark.parametrize("named", [True, False])
def test_check_tells_what_only_the_daemon_finds(
    run: Run,
    socket_path: Path,
    tmp_path: Path,
    named: bool,  # noqa: FBT001 - a case
) -> None:
    file = tmp_path / "theirs.toml"
    file.touch()
    status = with_config(path=str(file), valid=False, error="an old fault")

    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            daemon.result(daemon.receive(), status)
            request = daemon.receive()
            assert request["op"] == "reload"
            daemon.error(request, "config_invalid")

    with FakeDaemon(socket_path, script):
        process = run("config", "check", *([str(file)] if named else []))
        as_json = run("config", "check", "--json")
    line = "the daemon (pid 4321) does not take it: it is config_invalid"
    assert (process.returncode, process.stdout) == (78, "")
    assert process.stderr == f"devsynthctl: {line}\n"
    assert json.loads(as_json.stderr)["error"]["details"] == {"path": str(file), "errors": [line]}


def test_check_does_not_tell_a_fault_that_was_just_mended(
    run: Run, socket_path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "theirs.toml"
    file.touch()
    status = with_config(path=str(file), valid=False, error="an old fault")
    reloaded = {"config_generation": 2, "changed": []}
    with FakeDaemon(socket_path, serving(status=status, reload=reloaded)):
        process = run("config", "check")
    assert (process.returncode, process.stdout) == (0, f"{file} is valid\n")


def test_check_of_another_file_is_none_of_the_daemon_s(
    run: Run, socket_path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "mine.toml"
    file.touch()
    with FakeDaemon(socket_path, serving(status=with_config(valid=False, error="a fault"))):
        assert run("config", "check", str(file)).stdout == f"{file} is valid\n"


def test_reload_lists_what_has_changed(run: Run, socket_path: Path) -> None:
    told = {"config_generation": 3, "changed": ["llm_model", "daemon_log_level"]}
    with FakeDaemon(socket_path, serving(reload=told)):
        process = run("reload")
        as_json = run("reload", "--json")
    assert (process.stdout, process.stderr) == ("llm_model\ndaemon_log_level\n", "")
    assert json.loads(as_json.stdout) == told


def test_reload_says_so_if_nothing_has(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(reload={"config_generation": 3, "changed": []})):
        process = run("reload")
    assert (process.stdout, process.returncode) == ("", 0)
    assert process.stderr == "devsynthctl: what the file says is in force already\n"


def test_reload_of_an_invalid_file_is_78_and_without_a_daemon_3(
    run: Run, socket_path: Path
) -> None:
    with FakeDaemon(socket_path, lambda each: each.error(each.receive(), "config_invalid")):
        assert run("reload").returncode == 78
    assert run("reload").returncode == 3
