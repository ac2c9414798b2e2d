"""``config set`` of a secret: from stdin, from a person, and best not from the command line."""

import subprocess
from pathlib import Path

import pytest

from devsynthd.settings.schema import MASK
from tests.ctl.conftest import Run
from tests.ctl.settings_replies import SECRET, STATUS_PATH, outcome
from tests.ctl.test_command import serving
from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of
from tests.support.replies import STATUS

SET_SECRET = serving(status=STATUS, config_set=outcome("llm_api_key", MASK, MASK, "file"))


@pytest.mark.parametrize(
    "stdin", [SECRET, f"{SECRET}\n", f"{SECRET}\r\n", f"{SECRET}\nuser: me\n"], ids=repr
)
def test_a_secret_is_the_first_line_of_stdin(run: Run, socket_path: Path, stdin: str) -> None:
    with FakeDaemon(socket_path, SET_SECRET) as daemon:
        process = run("config", "set", "llm_api_key", stdin=stdin)
        asked = [daemon.seen.get() for _ in range(2)]
    assert asked[1]["value"] == SECRET
    assert process.stdout == "llm_api_key = ********\n"
    assert process.stderr == (
        f"devsynthctl: written to {STATUS_PATH}; the daemon (pid 4321) has it in force\n"
    )


@pytest.mark.parametrize("stdin", ["", "\n", f"\n{SECRET}\n"], ids=repr)
def test_an_empty_secret_is_refused(run: Run, socket_path: Path, stdin: str) -> None:
    with FakeDaemon(socket_path, SET_SECRET) as daemon:
        process = run("config", "set", "llm_api_key", stdin=stdin)
        assert daemon.seen.empty()
    assert process.returncode == 2
    assert "config unset llm_api_key" in process.stderr


@pytest.mark.parametrize("redirection", ["<&-", "</dev/null", "0>/dev/null"])
def test_a_secret_without_an_stdin_is_refused(command: list[str], redirection: str) -> None:
    process = subprocess.run(
        ["bash", "-c", f'"$@" {redirection}', "-", *command, "config", "set", "llm_api_key"],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert process.returncode == 2
    assert "llm_api_key got no value" in process.stderr


def test_a_secret_that_is_no_text_is_refused_unseen(command: list[str]) -> None:
    process = subprocess.run(
        [*command, "config", "set", "llm_api_key"],
        input=SECRET.encode() + b"\xff\n",
        capture_output=True,
        check=False,
        timeout=15,
    )
    assert process.returncode == 2
    assert b"not UTF-8" in process.stderr
    assert SECRET.encode() not in process.stderr


def test_a_secret_on_the_command_line_works_but_is_warned_about(
    run: Run, socket_path: Path
) -> None:
    with FakeDaemon(socket_path, SET_SECRET) as daemon:
        for args in (["set", "llm_api_key", SECRET], ["--key", "llm_api_key", "--value", SECRET]):
            process = run("config", *args)
            daemon.seen.get()
            assert daemon.seen.get()["value"] == SECRET
            assert process.stdout == "llm_api_key = ********\n"
            assert "list of processes" in process.stderr
            assert SECRET not in process.stderr
        assert "list of processes" not in run("config", "set", "llm_api_key", "").stderr
        assert "list of processes" not in run("config", "set", "llm_model", "a").stderr


def test_a_file_that_others_can_read_is_warned_about(
    run: Run, socket_path: Path, tmp_path: Path
) -> None:
    file = tmp_path / "my config.toml"
    file.touch(mode=0o640)
    status = STATUS | {"config": STATUS["config"] | {"path": str(file)}}
    told = outcome("llm_api_key", MASK, MASK, "file")
    with FakeDaemon(socket_path, serving(status=status, config_set=told)):
        warned = run("config", "set", "llm_api_key", stdin=SECRET).stderr
        assert f"other users can read the secret in it: chmod 600 '{file}'\n" in warned
        assert "chmod" not in run("config", "unset", "llm_api_key").stderr
        assert "chmod" not in run("config", "set", "llm_model", "a").stderr
        file.chmod(0o600)
        assert "chmod" not in run("config", "set", "llm_api_key", stdin=SECRET).stderr


def test_a_secret_is_asked_for_on_a_terminal_without_echo(
    command: list[str], socket_path: Path
) -> None:
    with (
        FakeDaemon(socket_path, SET_SECRET) as daemon,
        at_terminal([*command, "config", "set", "llm_api_key"]) as child,
    ):
        child.expect_exact("llm_api_key: ")
        child.waitnoecho()
        child.sendline(SECRET)
        shown = rest_of(child)
        daemon.seen.get()
        assert daemon.seen.get()["value"] == SECRET
    assert SECRET not in shown
    assert "llm_api_key = ********\n" in shown


@pytest.mark.parametrize(("key", "status"), [("\r", 2), ("\x04", 130), ("\x03", 130)])
def test_no_secret_is_set_if_nothing_is_answered(
    command: list[str], socket_path: Path, key: str, status: int
) -> None:
    with (
        FakeDaemon(socket_path, SET_SECRET) as daemon,
        at_terminal([*command, "config", "set", "llm_api_key"]) as child,
    ):
        child.expect_exact("llm_api_key: ")
        child.waitnoecho()
        child.send(key)
        assert "Traceback" not in rest_of(child)
        assert child.exitstatus == status
        assert daemon.seen.empty()


def test_a_key_with_its_value_in_one_word_is_not_repeated(run: Run, config_file: Path) -> None:
    process = run("config", "set", f"llm_api_key={SECRET}")
    assert process.returncode == 78
    assert "there is no setting 'llm_api_key=...'" in process.stderr
    assert SECRET not in process.stderr
    assert not config_file.exists()
