"""``config``: settings read and written by a daemon that answers as the test says."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devsynthd.settings.schema import BY_KEY, MASK, SETTINGS
from tests.ctl.conftest import Run
from tests.ctl.settings_replies import SECRET, STATUS_PATH, outcome, report, setting, with_config
from tests.ctl.test_command import MODULES, serving
from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of
from tests.support.replies import STATUS

REPORT = report(
    setting("llm_provider"),
    setting("llm_model", "a\x1b[2J", "selected"),
    setting("llm_connect_timeout", 4.0, "env"),
    setting("llm_api_key", MASK, "file"),
)


# Reading, from a daemon ---------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["config"], ["config", "list"]], ids=" ".join)
def test_the_list_is_tab_separated_when_piped(run: Run, socket_path: Path, args: list[str]) -> None:
    with FakeDaemon(socket_path, serving(config_get=REPORT, status=STATUS)) as daemon:
        process = run(*args)
        assert daemon.seen.get()["op"] == "status"
        assert daemon.seen.get()["key"] is None
        assert daemon.seen.empty()
    help_of = {key: BY_KEY[key].description for key in BY_KEY}
    assert process.stdout == (
        "key\tvalue\tsource\tdescription\n"
        f"llm_provider\tlmstudio\tdefault\t{help_of['llm_provider']}\n"
        f"llm_model\ta␛[2J\tselected\t{help_of['llm_model']}\n"
        f"llm_connect_timeout\t4\tenv\t{help_of['llm_connect_timeout']}\n"
        f"llm_api_key\t********\tfile\t{help_of['llm_api_key']}\n"
    )
    assert (process.stderr, process.returncode) == ("", 0)


@pytest.mark.parametrize(
    "args",
    [
        ["--json", "config"],
        ["config", "--json"],
        ["--json", "config", "list"],
        ["config", "--json", "list"],
        ["config", "list", "--json"],
    ],
    ids=" ".join,
)
def test_json_is_the_whole_result_and_nothing_else(
    run: Run, socket_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str]
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "b")
    told = REPORT | {"new_field": [1.5, None]}
    with FakeDaemon(socket_path, serving(config_get=told, status=STATUS)):
        process = run(*args)
    assert json.loads(process.stdout) == told
    assert process.stderr == ""


def test_the_list_is_a_table_on_a_terminal(command: list[str], socket_path: Path) -> None:
    with (
        FakeDaemon(socket_path, serving(config_get=REPORT, status=STATUS)),
        at_terminal([*command, "--no-color", "config"]) as child,
    ):
        lines = rest_of(child).splitlines()
    assert lines[0].split() == ["key", "value", "source", "description"]
    assert lines[1].split()[:4] == ["llm_provider", "lmstudio", "default", "Who"]
    assert any(line.split()[:3] == ["llm_model", "a␛[2J", "selected"] for line in lines)
    folded = [line[lines[0].index("description") :].strip() for line in lines[1:]]
    assert BY_KEY["llm_provider"].description not in folded[0]
    assert " ".join(folded).startswith(BY_KEY["llm_provider"].description)


def test_the_list_ends_with_where_the_shell_differs(
    run: Run, socket_path: Path, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "b")
    monkeypatch.setenv("DEVSYNTH_LLM_API_KEY", SECRET)
    monkeypatch.setenv("DEVSYNTH_LLM_CONNECT_TIMEOUT", "4")
    monkeypatch.setenv("DEVSYNTH_LLM_PROVIDER", "nobody")
    monkeypatch.setenv("DEVSYNTH_LLM_PROVIDR", "openai")
    with FakeDaemon(socket_path, serving(config_get=REPORT, status=STATUS)):
        process = run("config")
        as_json = run("config", "--json")
    model_note, key_note, bad, unknown, file_note = process.stderr.splitlines()
    assert "DEVSYNTH_LLM_MODEL = 'b'" in model_note
    assert "'a\\x1b[2J' (selected) is in force there" in model_note
    assert "generate" in model_note
    assert "DEVSYNTH_LLM_API_KEY" in key_note
    assert "DEVSYNTH_LLM_PROVIDER = 'nobody' is not allowed" in bad
    assert "did you mean DEVSYNTH_LLM_PROVIDER?" in unknown
    assert file_note == (
        f"devsynthctl: the daemon reads {STATUS_PATH}; one started from this shell would read "
        f"{config_file}"
    )
    assert SECRET not in process.stdout + process.stderr
    assert as_json.stderr == ""


@pytest.mark.parametrize(
    ("value", "line"),
    [(True, "true"), (False, "false"), (300.0, "300"), (0.7, "0.7"), ("", ""), (MASK, MASK)],
    ids=repr,
)
@pytest.mark.parametrize("spelling", [["get"], ["--key"]], ids=" ".join)
def test_get_writes_the_bare_value(
    run: Run, socket_path: Path, spelling: list[str], value: object, line: str
) -> None:
    told = report(setting("llm_max_tokens", value, "file"))
    with FakeDaemon(socket_path, serving(config_get=told, status=STATUS)) as daemon:
        process = run("config", *spelling, "llm_max_tokens")
        as_json = run("config", *spelling, "llm_max_tokens", "--json")
        assert daemon.seen.get()["op"] == "status"
        assert daemon.seen.get()["key"] == "llm_max_tokens"
    assert (process.stdout, process.stderr, process.returncode) == (f"{line}\n", "", 0)
    assert (json.loads(as_json.stdout), as_json.stderr) == (told, "")


def test_an_unknown_key_is_78_with_the_nearest_one(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.error(daemon.receive(), "config_invalid", hint="did you mean llm_model?")

    with FakeDaemon(socket_path, script):
        process = run("config", "get", "llm_modle")
    assert (process.returncode, process.stdout) == (78, "")
    assert process.stderr == ("devsynthctl: it is config_invalid\nhint: did you mean llm_model?\n")


@pytest.mark.parametrize("key", ["", "x" * 129])
def test_a_key_that_cannot_be_asked_for_is_unknown_too(
    run: Run, socket_path: Path, key: str
) -> None:
    with FakeDaemon(socket_path, serving()) as daemon:
        process = run("config", "get", key)
        assert daemon.seen.empty()
    assert (process.returncode, process.stdout) == (78, "")
    assert "there is no setting" in process.stderr


def test_diff_lists_what_is_no_default(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serving(config_get=REPORT, status=STATUS)):
        process = run("config", "diff")
        as_json = run("config", "diff", "--json")
    assert process.stdout == (
        "key\tvalue\tdefault\tsource\n"
        "llm_model\ta␛[2J\t\tselected\n"
        "llm_connect_timeout\t4\t3\tenv\n"
        "llm_api_key\t********\t\tfile\n"
    )
    assert process.stderr == ""
    assert json.loads(as_json.stdout) == report(*REPORT["settings"][1:])


def test_diff_says_so_if_nothing_differs(run: Run, command: list[str], socket_path: Path) -> None:
    told = report(setting("llm_model", "", "file"))
    with FakeDaemon(socket_path, serving(config_get=told, status=STATUS)):
        process = run("config", "diff")
        with at_terminal([*command, "config", "diff"]) as child:
            shown = rest_of(child)
    note = "devsynthctl: every setting has its default\n"
    assert (process.stdout, process.stderr) == ("key\tvalue\tdefault\tsource\n", note)
    assert shown == note


# Writing, by a daemon -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "key", "value"),
    [
        (["set", "llm_max_tokens", "2048"], "llm_max_tokens", "2048"),
        (["set", "llm_max_tokens", "-1"], "llm_max_tokens", "-1"),
        (["set", "llm_temperature", "-.5"], "llm_temperature", "-.5"),
        (["set", "llm_model", "--", "-x"], "llm_model", "-x"),
        (["set", "--", "llm_model", "--json"], "llm_model", "--json"),
        (["set", "llm_model", ""], "llm_model", ""),
        (["set", "llm_model", "a b"], "llm_model", "a b"),
        (["--key", "llm_model", "--value", "my_model"], "llm_model", "my_model"),
        (["--key", "llm_max_tokens", "--value", "-1"], "llm_max_tokens", "-1"),
        (["--key", "llm_model", "--value", "--json"], "llm_model", "--json"),
        (["--key", "llm_model", "--value="], "llm_model", ""),
        (["unset", "llm_model"], "llm_model", None),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_set_is_what_is_sent(
    run: Run, socket_path: Path, args: list[str], key: str, value: str | None
) -> None:
    told = outcome(key, value, value or "", "file")
    with FakeDaemon(socket_path, serving(status=STATUS, config_set=told)) as daemon:
        assert run("config", *args).returncode == 0
        asked = [daemon.seen.get() for _ in range(2)]
    assert [each["op"] for each in asked] == ["status", "config_set"]
    assert (asked[1]["key"], asked[1]["value"]) == (key, value)


def test_set_tells_what_was_written_where_and_what_is_in_force(run: Run, socket_path: Path) -> None:
    warning = {"code": "not_listed", "message": "a is not in the list\x1b"}
    told = outcome("llm_model", "a", "b", "env", warning)
    with FakeDaemon(socket_path, serving(status=STATUS, config_set=told)):
        process = run("config", "set", "llm_model", "a")
        as_json = run("config", "set", "llm_model", "a", "--json")
    assert process.stdout == "llm_model = a\n"
    assert process.stderr == (
        f"devsynthctl: written to {STATUS_PATH}; the daemon (pid 4321) goes on with b (env)\n"
        "devsynthctl: warning: a is not in the list␛\n"
    )
    assert (json.loads(as_json.stdout), as_json.stderr) == (told, "")


def test_set_tells_when_the_engine_has_to_be_idle(run: Run, socket_path: Path) -> None:
    told = outcome("embedded_threads", 2, 2, "file")
    with FakeDaemon(socket_path, serving(status=STATUS, config_set=told)):
        process = run("config", "set", "embedded_threads", "2")
    assert process.stderr.endswith("has it in force when the engine is idle\n")


def test_a_value_that_the_daemon_refuses_is_78(run: Run, socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), STATUS)
        daemon.error(daemon.receive(), "config_invalid")

    with FakeDaemon(socket_path, script):
        process = run("config", "set", "llm_max_tokens", "0")
    assert (process.returncode, process.stdout) == (78, "")
    assert process.stderr == "devsynthctl: it is config_invalid\n"


@pytest.mark.parametrize("value", ["-1", "-x", "-dash", "-h5", "-"])
def test_a_value_may_start_with_a_dash(run: Run, socket_path: Path, value: str) -> None:
    told = outcome("llm_model", value, value, "file")
    for args in (["set", "llm_model", value], ["--key", "llm_model", "--value", value]):
        with FakeDaemon(socket_path, serving(status=STATUS, config_set=told)) as daemon:
            process = run("config", *args)
            assert daemon.seen.get()["op"] == "status"
            assert daemon.seen.get()["value"] == value
        assert process.returncode == 0


@pytest.mark.parametrize("words", ["list", "get llm_model", "diff"])
def test_while_the_file_has_mistakes_that_is_said(run: Run, socket_path: Path, words: str) -> None:
    status = with_config(path="/the/file", valid=False, error="line 3")
    told = report(setting("llm_model", "a", "file"))
    with FakeDaemon(socket_path, serving(config_get=told, status=status)):
        process = run("config", *words.split())
    assert process.returncode == 0
    assert "/the/file has mistakes: what was in force before them still is" in process.stderr


def test_a_narrow_terminal_shows_what_holds_before_what_it_means(
    command: list[str], socket_path: Path
) -> None:
    told = report(setting("llm_api_base", "http://127.0.0.1:21234/v1", "file"))
    narrow = ["bash", "-c", 'stty cols 80; "$@"', "-", *command, "config"]
    with (
        FakeDaemon(socket_path, serving(config_get=told, status=STATUS)),
        at_terminal(narrow, {**os.environ, "COLUMNS": "80"}) as child,
    ):
        shown = rest_of(child)
    assert "http://127.0.0.1:21234/v1" in shown
    assert "description" not in shown


@pytest.mark.parametrize(
    ("args", "status", "message"),
    [
        (["set"], 2, "KEY [VALUE]"),
        (["set", "llm_model"], 2, "which value? llm_model takes one line"),
        (["set", "llm_model", "a", "b"], 2, "put one that has spaces in quotes"),
        (["set", "llm_model", "--x"], 2, "text that starts with a dash goes behind --"),
        (["set", "llm_model", "a", "--jsn"], 2, "did you mean --json?"),
        (["set", "llm_modle", "a"], 78, "there is no setting 'llm_modle'"),
        (["set", "llm_modle"], 78, "there is no setting 'llm_modle'"),
        (["unset"], 2, "KEY"),
        (["unset", "llm_modle"], 78, "there is no setting 'llm_modle'"),
        (["get"], 2, "KEY"),
        (["--value", "a"], 2, "Name the setting with --key"),
        (["--key"], 2, "--key"),
        (["--key", "llm_modle", "--value", "a"], 78, "there is no setting 'llm_modle'"),
        (["--key", "llm_model", "list"], 2, "go without COMMAND"),
        (["--list-models", "list"], 2, "go without COMMAND"),
        (["--value", "a", "get", "llm_model"], 2, "go without COMMAND"),
        (["--list-models", "--key", "llm_model"], 2, "goes without --key"),
        (["--list-models", "--value", "llm_model"], 2, "goes without --key"),
        (["lst"], 2, "lst"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_wrong_is_told_without_asking_the_daemon(
    run: Run, socket_path: Path, args: list[str], status: int, message: str
) -> None:
    with FakeDaemon(socket_path, serving()) as daemon:
        process = run("config", *args)
        as_json = run("config", "--json", *args)
        assert daemon.seen.empty()
    assert (process.returncode, process.stdout) == (status, "")
    assert message in process.stderr
    assert (as_json.returncode, as_json.stdout) == (status, "")
    assert message in json.loads(as_json.stderr)["error"]["message"]


# A daemon that does not answer --------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [["list"], ["get", "llm_model"], ["set", "llm_model", "a"], ["path"], ["check"], ["edit"]],
    ids=" ".join,
)
def test_a_stuck_daemon_is_an_error_and_the_file_is_left_alone(
    run: Run,
    socket_path: Path,
    config_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    args: list[str],
) -> None:
    monkeypatch.setenv("EDITOR", "touch")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
        listener.listen()
        process = run("--timeout", "0.2", "config", *args)
    assert (process.returncode, process.stdout) == (6, "")
    assert not config_file.exists()


# Help, and what it costs --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["list"],
        ["get"],
        ["set"],
        ["unset"],
        ["path"],
        ["edit"],
        ["check"],
        ["diff"],
        ["schema"],
    ],
    ids=" ".join,
)
def test_every_command_has_help(run: Run, args: list[str]) -> None:
    short, long = run("config", *args, "-h"), run("config", *args, "--help")
    assert short.stdout == long.stdout
    assert (short.returncode, short.stderr) == (0, "")
    assert " ".join(["devsynthctl config", *args]) in short.stdout
    assert "..." not in short.stdout.replace("[ARGS]...", "")  # no text is cut off


def test_the_help_of_set_explains_every_setting(run: Run) -> None:
    told = " ".join(run("config", "set", "--help").stdout.split()).replace("- ", "-")
    for each in SETTINGS:
        assert f"{each.key} {each.description}".replace("- ", "-") in told


@pytest.mark.parametrize("args", [["get", "llm_model"], ["path"]], ids=" ".join)
def test_nothing_slow_is_imported_to_ask_a_daemon(
    command: list[str], socket_path: Path, config_file: Path, args: list[str]
) -> None:
    told = report(setting("llm_model", "a", "file"))
    status = with_config(path=str(config_file))
    with FakeDaemon(socket_path, serving(config_get=told, status=status)):
        process = subprocess.run(
            [sys.executable, "-c", MODULES, *command[3:], "config", *args],
            capture_output=True,
            text=True,
            check=True,
            timeout=15,
        )
    loaded = set(process.stderr.split())
    slow = {"asyncio", "devsynthd.settings", "http", "platformdirs", "requests", "rich"}
    slow |= {"subprocess", "tempfile", "tomlkit", "tomllib", "urllib3", "watchfiles"}
    assert loaded & slow == set()
    assert "devsynthctl.settings_access" in loaded


def test_a_pipe_that_closes_ends_it_in_silence(command: list[str], config_file: Path) -> None:
    assert not config_file.exists()
    process = subprocess.run(
        ["bash", "-c", '"$@" | true; exit ${PIPESTATUS[0]}', "-", *command, "config", "schema"],
        capture_output=True,
        check=False,
        timeout=15,
        env=os.environ,
    )
    assert (process.stdout, process.returncode in (0, 141)) == (b"", True)
    assert b"Traceback" not in process.stderr
