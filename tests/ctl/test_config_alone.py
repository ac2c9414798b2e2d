"""``config`` where no daemon answers: the file and this shell's variables."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devsynthd.settings.editor_schema import file_schema
from devsynthd.settings.schema import BY_KEY, MASK, SETTINGS
from tests.ctl.conftest import Run
from tests.ctl.settings_replies import SECRET, STATUS_PATH, outcome, setting
from tests.ctl.test_command import serving
from tests.support.fake_daemon import FakeDaemon
from tests.support.replies import STATUS


def caveat(socket_path: Path) -> str:
    return (
        f"devsynthctl: no daemon answers at {socket_path}: these are the settings that one "
        "started from this shell would have\n"
    )


def test_without_a_daemon_the_settings_are_those_of_file_and_shell(
    run: Run, socket_path: Path, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config_file.write_text("[llm]\nmax_tokens = 5\nmodel = 'a'\n")
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "b")
    monkeypatch.setenv("DEVSYNTH_LLM_API_KEY", SECRET)
    monkeypatch.setenv("DEVSYNTH_LLM_MODLE", "c")
    listed, as_json, got, masked, diff = (
        run("config", *args)
        for args in (
            ["list"],
            ["list", "--json"],
            ["get", "llm_model"],
            ["--key", "llm_api_key"],
            ["diff"],
        )
    )
    rows = [line.split("\t") for line in listed.stdout.splitlines()]
    assert [each[0] for each in rows[1:]] == list(BY_KEY)
    assert rows[3][:3] == ["llm_model", "b", "env"]
    assert rows[4][:3] == ["llm_max_tokens", "5", "file"]
    told = {each["key"]: each for each in json.loads(as_json.stdout)["settings"]}
    assert told["llm_max_tokens"] == setting("llm_max_tokens", 5, "file")
    assert told["llm_api_key"] == setting("llm_api_key", MASK, "env")
    assert (got.stdout, masked.stdout) == ("b\n", f"{MASK}\n")
    assert diff.stdout == (
        "key\tvalue\tdefault\tsource\nllm_model\tb\t\tenv\nllm_max_tokens\t5\t1024\tfile\n"
        "llm_api_key\t********\t\tenv\n"
    )
    warning, note = listed.stderr.splitlines()
    assert "did you mean DEVSYNTH_LLM_MODEL?" in warning
    assert f"{note}\n" == caveat(socket_path)
    assert {each.stderr for each in (as_json, got, masked, diff)} == {caveat(socket_path)}
    assert SECRET not in listed.stdout + as_json.stdout


def test_a_mistake_in_a_variable_is_not_looked_for_in_the_file(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_TEMPERATURE", "hot")
    process = run("config", "get", "llm_temperature")
    assert process.returncode == 78
    assert "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed" in process.stderr
    assert "correct the variable, or clear it with `unset`" in process.stderr
    assert "config edit" not in process.stderr


def test_a_socket_that_a_daemon_has_left_is_no_daemon(
    run: Run, socket_path: Path, config_file: Path
) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(socket_path))
    config_file.write_text("[llm]\nmodel = 'a'\n")
    process = run("config", "get", "llm_model")
    assert (process.stdout, process.stderr) == ("a\n", caveat(socket_path))


def test_without_a_daemon_set_writes_the_file(run: Run, config_file: Path) -> None:
    config_file.write_text("# mine\n[llm]\n# why\nmodel = 'a' # this\n")
    process = run("config", "set", "llm_max_tokens", "-1")
    note = f"written to {config_file}; no daemon answers: it holds from the next start on"
    assert process.stdout == "llm_max_tokens = -1\n"
    assert process.stderr == f"devsynthctl: {note}\n"
    assert config_file.read_text() == "# mine\n[llm]\n# why\nmodel = 'a' # this\nmax_tokens = -1\n"

    as_json = run("config", "set", "llm_model", "b", "--json")
    assert json.loads(as_json.stdout) == outcome("llm_model", "b", "b", "file")
    assert as_json.stderr == f"devsynthctl: {note}\n"

    process = run("config", "unset", "llm_max_tokens")
    again = run("config", "unset", "llm_max_tokens")
    assert process.stdout == "llm_max_tokens is no longer set in the file\n"
    assert again.stdout == "llm_max_tokens is not set in the file\n"
    assert process.stderr.endswith("one started from this shell would have 1024 (default)\n")
    assert config_file.read_text() == '# mine\n[llm]\n# why\nmodel = "b" # this\n'


def test_without_a_daemon_a_new_file_is_private(run: Run, config_file: Path) -> None:
    process = run("config", "set", "llm_api_key", stdin=SECRET)
    assert (process.returncode, process.stdout) == (0, f"llm_api_key = {MASK}\n")
    assert config_file.stat().st_mode & 0o777 == 0o600
    assert SECRET in config_file.read_text()
    assert SECRET not in process.stderr


def test_what_the_shell_hides_is_warned_about(
    run: Run, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "b")
    process = run("config", "set", "llm_model", "a")
    told = json.loads(run("config", "set", "llm_model", "a", "--json").stdout)
    text = "DEVSYNTH_LLM_MODEL of this shell hides it from a daemon that is started here"
    assert process.stderr.splitlines()[1] == f"devsynthctl: warning: {text}"
    warning = {"code": "env_override", "message": text}
    assert told == outcome("llm_model", "a", "b", "env", warning)
    assert config_file.read_text() == '[llm]\nmodel = "a"\n'


def test_a_broken_variable_keeps_from_telling_what_holds_but_not_from_writing(
    run: Run, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_TEMPERATURE", "hot")
    for args in (["list"], ["get", "llm_model"]):
        process = run("config", *args)
        assert (process.returncode, process.stdout) == (78, "")
        assert "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed" in process.stderr
    assert run("config", "set", "llm_model", "a").returncode == 0
    assert config_file.read_text() == '[llm]\nmodel = "a"\n'


def test_a_set_leaves_no_invalid_file_behind(run: Run, config_file: Path) -> None:
    text = "[llm]\ntemperature = 9\nmodle = 'a'\n"
    config_file.write_text(text)
    process = run("config", "set", "llm_max_tokens", "5", "--json")
    assert (process.returncode, process.stdout) == (78, "")
    error = json.loads(process.stderr)["error"]
    assert [each.partition(": ")[0] for each in error["details"]["errors"]] == [
        f"{config_file}, line 2",
        f"{config_file}, line 3",
    ]
    assert config_file.read_text() == text


def test_a_set_may_mend_the_file(run: Run, config_file: Path) -> None:
    config_file.write_text("[llm]\ntemperature = 9\n")
    assert run("config", "get", "llm_temperature").returncode == 78
    assert run("config", "set", "llm_temperature", "1").returncode == 0
    assert run("config", "get", "llm_temperature").stdout == "1\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["get", "llm_modle"], "did you mean llm_model?"),
        (["get", ""], "there is no setting"),
        (["set", "llm_modle", "a"], "did you mean llm_model?"),
        (["set", "llm_max_tokens", "0"], "llm_max_tokens = '0' is not allowed"),
        (["unset", "llm_modle"], "did you mean llm_model?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_without_a_daemon_what_is_not_allowed_is_78(
    run: Run, config_file: Path, args: list[str], message: str
) -> None:
    process = run("config", *args)
    assert (process.returncode, process.stdout) == (78, "")
    assert message in process.stderr
    assert not config_file.exists()


def test_a_file_that_cannot_be_written_is_told(run: Run, config_file: Path) -> None:
    config_file.mkdir()
    process = run("config", "set", "llm_model", "a")
    assert (process.returncode, process.stdout) == (78, "")
    assert str(config_file) in process.stderr


def test_without_a_daemon_the_path_is_the_shell_s(run: Run, config_file: Path) -> None:
    process = run("config", "path")
    assert (process.stdout, process.stderr) == (f"{config_file}\n", "")


def test_check_without_a_daemon(run: Run, config_file: Path, tmp_path: Path) -> None:
    missing = run("config", "check")
    assert missing.returncode == 0
    assert missing.stdout == f"{config_file} does not exist: the defaults hold\n"
    assert json.loads(run("config", "check", "--json").stdout) == {
        "path": str(config_file),
        "valid": True,
        "errors": [],
    }
    config_file.write_text("[llm]\nmodel = 'a'\n")
    assert run("config", "check").stdout == f"{config_file} is valid\n"

    other = tmp_path / "other.toml"
    other.write_text("[llm]\nmodel = 1\n\n[lmm]\n")
    process = run("config", "check", str(other))
    as_json = run("--json", "config", "check", str(other))
    first, second = process.stderr.splitlines()
    assert first.startswith(f"devsynthctl: {other}, line 2: [llm] model = 1 is not allowed")
    assert second.startswith(f"devsynthctl: {other}, line 4: unknown key lmm: did you mean [llm]?")
    assert (process.returncode, process.stdout) == (78, "")
    error = json.loads(as_json.stderr)["error"]
    assert error["details"]["errors"] == [
        line.removeprefix("devsynthctl: ") for line in (first, second)
    ]
    nowhere = run("config", "check", str(tmp_path / "none"))
    assert (nowhere.returncode, nowhere.stdout) == (78, "")
    assert f"{tmp_path / 'none'} does not exist" in nowhere.stderr


@pytest.mark.skipif(sys.platform == "darwin", reason="its file names are UTF-8")
def test_a_file_may_have_a_name_that_is_no_text(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / b"\xff.toml".decode(errors="surrogateescape")
    shown = str(tmp_path / "\\udcff.toml")
    monkeypatch.setenv("DEVSYNTH_CONFIG", str(file))
    assert run("config", "path").stdout == f"{shown}\n"
    assert json.loads(run("config", "path", "--json").stdout) == {"path": shown}
    assert run("config", "set", "llm_model", "a").returncode == 0
    assert run("config", "check").stdout == f"{shown} is valid\n"
    assert json.loads(run("config", "check", "--json").stdout)["path"] == shown
    file.write_text("[llm]\nmodel = 5\n")
    assert f"{shown}, line 2" in run("config", "check").stderr
    error = json.loads(run("config", "check", "--json").stderr)["error"]
    assert error["details"]["path"] == shown
    assert f"{shown}, line 2" in error["message"]
    monkeypatch.setenv("EDITOR", "false")
    assert run("config", "edit").returncode == 1


def test_check_does_not_look_at_variables(
    run: Run, config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_TEMPERATURE", "hot")
    config_file.touch()
    assert run("config", "check").returncode == 0


def test_without_a_file_of_the_shell_there_is_still_that_of_the_daemon(
    command: list[str], socket_path: Path, tmp_path: Path
) -> None:
    gone = tmp_path / "gone"
    in_no_folder = 'cd "$0" && rmdir "$0" && exec env DEVSYNTH_CONFIG=relative.toml "$@"'

    def path() -> "subprocess.CompletedProcess[str]":
        gone.mkdir()
        return subprocess.run(
            ["bash", "-c", in_no_folder, gone, *command, "config", "path"],
            capture_output=True,
            text=True,
            check=False,
            timeout=15,
        )

    alone = path()
    assert (alone.returncode, alone.stdout) == (78, "")
    assert "the current directory is gone" in alone.stderr
    with FakeDaemon(socket_path, serving(status=STATUS)):
        process = path()
    assert (process.stdout, process.stderr) == (f"{STATUS_PATH}\n", "")


def test_the_schema_is_for_editors(run: Run) -> None:
    process = run("config", "schema")
    assert json.loads(process.stdout) == file_schema()
    assert process.stdout.count("\n") > len(SETTINGS)
    as_json = run("config", "schema", "--json").stdout
    assert (json.loads(as_json), as_json.count("\n")) == (file_schema(), 1)


def test_a_file_of_certificates_has_to_be_one(run: Run, config_file: Path) -> None:
    process = run("config", "set", "llm_ca_bundle", "/none.pem")
    assert (process.returncode, process.stdout) == (78, "")
    assert "/none.pem is not a file of CA certificates" in process.stderr
    assert not config_file.exists()

    config_file.write_text("[llm]\nca_bundle = '/none.pem'\n")
    checked = run("config", "check")
    assert checked.returncode == 78
    assert "/none.pem is not a file of CA certificates" in checked.stderr
