"""``devsynthctl config`` and ``reload`` on a real daemon, and before there is one."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.process.conftest import asks
from tests.support.daemon import CTL, DaemonProcess, daemon_process, environ_of
from tests.support.person import at_terminal, rest_of
from tests.support.upstream_server import UpstreamServer

SECRET = "sk-hunter2"  # noqa: S105 - found nowhere else
COMMENTED = "# mine\n[llm]\nmax_tokens = 9 # for now\n"


@pytest.fixture
def config_file(short_dir: Path) -> Path:
    """Return the daemon's file."""
    return short_dir / "config.toml"


def max_tokens_sent(daemon: DaemonProcess, upstream: UpstreamServer) -> int:
    """Return what an answer is limited to, as the upstream is asked for it."""
    assert daemon.ctl("generate", "hi").stdout == "Hello world\n"
    sent: int = upstream.generations[-1].body["max_tokens"]
    return sent


def in_force(daemon: DaemonProcess, path: Path) -> str:
    """Return the note about something that was written and holds."""
    return (
        f"devsynthctl: written to {path}; the daemon (pid {daemon.process.pid}) has it in force\n"
    )


# Values ----------------------------------------------------------------------------------------


def test_what_is_set_is_in_force_and_in_the_file(
    daemon: DaemonProcess, upstream: UpstreamServer, config_file: Path
) -> None:
    config_file.write_text(COMMENTED)
    outcome = daemon.ctl("config", "set", "llm_max_tokens", "2048")

    assert (outcome.returncode, outcome.stdout) == (0, "llm_max_tokens = 2048\n")
    assert outcome.stderr == in_force(daemon, config_file)
    assert config_file.read_text() == COMMENTED.replace("9", "2048")
    assert daemon.ctl("config", "get", "llm_max_tokens").stdout == "2048\n"
    assert max_tokens_sent(daemon, upstream) == 2048

    outcome = daemon.ctl("config", "unset", "llm_max_tokens")
    assert outcome.stdout == "llm_max_tokens is no longer set in the file\n"
    assert "has the default, 1024, in force" in outcome.stderr
    assert "max_tokens" not in config_file.read_text()
    assert max_tokens_sent(daemon, upstream) == 1024


def test_the_spellings_of_devsynth(daemon: DaemonProcess, upstream: UpstreamServer) -> None:
    upstream.models = ["m", "b"]
    daemon.ctl("models", "--refresh")

    listed = daemon.ctl("config", "--list-models").stdout
    assert listed == "id\tname\towner\nm\tm\ttests\nb\tb\ttests\n"
    outcome = daemon.ctl("config", "--key", "llm_model", "--value", "b")
    assert (outcome.returncode, outcome.stdout) == (0, "llm_model = b\n")
    assert daemon.ctl("config", "--key", "llm_model").stdout == "b\n"
    assert daemon.ctl("config", "--key", "llm_max_tokens", "--value", "-1").returncode == 0
    daemon.ctl("generate", "hi")
    assert upstream.generations[-1].body["model"] == "b"
    assert "max_tokens" not in upstream.generations[-1].body


def test_a_model_that_is_not_listed_is_set_with_a_warning(daemon: DaemonProcess) -> None:
    daemon.ctl("models")  # which waits for the first poll
    outcome = daemon.ctl("config", "set", "llm_model", "nobody")
    assert (outcome.returncode, outcome.stdout) == (0, "llm_model = nobody\n")
    assert "warning: the model nobody is not in the list" in outcome.stderr


def test_list_and_diff_show_values_and_sources(daemon: DaemonProcess) -> None:
    daemon.ctl("config", "set", "llm_temperature", "0.5")
    listed = daemon.ctl("config")
    rows = {line.split("\t")[0]: line.split("\t")[1:] for line in listed.stdout.splitlines()}
    as_json = json.loads(daemon.ctl("config", "list", "--json").stdout)

    assert rows["key"] == ["value", "source", "description"]
    assert rows["llm_provider"][:2] == ["openai", "env"]
    assert rows["llm_temperature"][:2] == ["0.5", "file"]
    assert rows["llm_max_tokens"][:2] == ["1024", "default"]
    assert [each["key"] for each in as_json["settings"]] == list(rows)[1:]
    assert listed.stderr == ""
    diff = daemon.ctl("config", "diff").stdout.splitlines()
    assert [line.split("\t")[0] for line in diff] == [
        "key",
        "llm_provider",
        "llm_api_base",
        "llm_temperature",
    ]


def test_a_variable_of_the_daemon_hides_what_is_set(
    short_dir: Path, upstream: UpstreamServer, config_file: Path
) -> None:
    with daemon_process(short_dir, environ=asks(upstream, llm_max_tokens="5")) as daemon:
        outcome = daemon.ctl("config", "set", "llm_max_tokens", "6")
        told = json.loads(daemon.ctl("config", "set", "llm_max_tokens", "7", "--json").stdout)

    assert outcome.returncode == 0
    pid = daemon.process.pid
    written, warning = outcome.stderr.splitlines()
    assert written == (
        f"devsynthctl: written to {config_file}; the daemon (pid {pid}) goes on with 5 (env)"
    )
    assert "DEVSYNTH_LLM_MAX_TOKENS hides it" in warning
    assert (told["value"], told["effective"], told["source"]) == (7, 5, "env")
    assert [each["code"] for each in told["warnings"]] == ["env_override"]


def test_a_variable_of_the_shell_is_told_apart(daemon: DaemonProcess) -> None:
    outcome = daemon.ctl("config", environ={"DEVSYNTH_LLM_MODEL": "b"})
    assert outcome.stderr == (
        "devsynthctl: this shell has DEVSYNTH_LLM_MODEL = 'b', which the daemon does not see: '' "
        "(default) is in force there; `devsynthctl generate` and `chat` send the shell's\n"
    )


def test_a_variable_of_the_shell_that_says_something_else_is_told_when_setting(
    daemon: DaemonProcess,
) -> None:
    environ = {"DEVSYNTH_LLM_TEMPERATURE": "1"}
    told = daemon.ctl("config", "set", "llm_temperature", "0.5", environ=environ).stderr
    assert "this shell has DEVSYNTH_LLM_TEMPERATURE = 1.0" in told
    assert "`devsynthctl generate` and `chat` send the shell's" in told
    same = daemon.ctl("config", "set", "llm_temperature", "1", environ=environ).stderr
    assert "this shell" not in same


def test_what_is_refused_changes_nothing(daemon: DaemonProcess, config_file: Path) -> None:
    config_file.write_text(COMMENTED)
    outcome = daemon.ctl("config", "set", "llm_max_tokens", "0")
    assert (outcome.returncode, outcome.stdout) == (78, "")
    assert "llm_max_tokens = '0' is not allowed" in outcome.stderr
    unknown = daemon.ctl("config", "get", "llm_modle")
    assert (unknown.returncode, unknown.stdout) == (78, "")
    assert "did you mean llm_model?" in unknown.stderr
    assert config_file.read_text() == COMMENTED


def test_writers_with_and_without_the_daemon_do_not_lose_each_other(
    daemon: DaemonProcess, short_dir: Path
) -> None:
    edits = {"llm_model": "m", "llm_max_tokens": "5", "llm_temperature": "1"}
    edits |= {"daemon_queue_limit": "6", "embedded_threads": "2", "llm_idle_timeout": "60"}
    commands = [[*CTL, "config", "set", key, value] for key, value in edits.items()]
    for command in commands[::2]:
        command[len(CTL) : len(CTL)] = ["--socket", str(short_dir / "none.sock")]
    writers = [
        subprocess.Popen(command, env=daemon.environ, stderr=subprocess.PIPE, text=True)
        for command in commands
    ]
    told = [writer.communicate(timeout=15)[1] for writer in writers]

    assert [writer.returncode for writer in writers] == [0] * 6, told
    assert daemon.ctl("reload").returncode == 0
    report = json.loads(daemon.ctl("config", "list", "--json").stdout)["settings"]
    values = {each["key"]: each["value"] for each in report if each["source"] == "file"}
    assert {key: str(values[key]).removesuffix(".0") for key in edits} == edits


# The file --------------------------------------------------------------------------------------


def test_edit_saves_what_is_valid_and_has_it_in_force(
    daemon: DaemonProcess, upstream: UpstreamServer, config_file: Path, short_dir: Path
) -> None:
    editor = short_dir / "editor"
    editor.write_text('#!/bin/sh\nsed -i "$EDIT" "$1"\n')
    editor.chmod(0o755)

    def edit(script: str) -> "subprocess.CompletedProcess[str]":
        environ = {"VISUAL": str(editor), "EDIT": script, "TMPDIR": str(short_dir)}
        return daemon.ctl("config", "edit", environ=environ)

    outcome = edit("s/# max_tokens = 1024/max_tokens = 7/")
    assert (outcome.returncode, outcome.stdout) == (0, "llm_max_tokens = 7\n")
    assert outcome.stderr == in_force(daemon, config_file)
    assert max_tokens_sent(daemon, upstream) == 7

    saved = config_file.read_text()
    outcome = edit("s/^max_tokens = 7/max_tokens = 0/")
    assert (outcome.returncode, outcome.stdout) == (78, "")
    assert "[llm] max_tokens = 0 is not allowed" in outcome.stderr
    (kept,) = short_dir.glob("devsynth-*/config.toml")
    assert str(kept) in outcome.stderr
    assert kept.read_text() == saved.replace("\nmax_tokens = 7", "\nmax_tokens = 0")
    assert config_file.read_text() == saved
    assert daemon.ctl("config", "get", "llm_max_tokens").stdout == "7\n"


def test_reload_and_check_tell_what_is_wrong_with_the_file(
    daemon: DaemonProcess, config_file: Path
) -> None:
    config_file.write_text("[llm]\nmax_tokens = 9\n")
    assert daemon.ctl("reload").returncode == 0
    assert daemon.ctl("config", "get", "llm_max_tokens").stdout == "9\n"
    nothing = daemon.ctl("reload")
    assert (nothing.returncode, nothing.stdout) == (0, "")

    config_file.write_text("[llm]\nmax_tokens = 0\nmodle = 'a'\n")
    for command in (["reload"], ["config", "check"]):
        outcome = daemon.ctl(*command)
        assert (outcome.returncode, outcome.stdout) == (78, "")
        assert f"{config_file}, line 2: [llm] max_tokens = 0 is not allowed" in outcome.stderr
        assert f"{config_file}, line 3: unknown key [llm] modle" in outcome.stderr
    assert daemon.ctl("config", "get", "llm_max_tokens").stdout == "9\n"


def test_check_tells_what_only_the_daemon_finds_and_not_what_was_mended(
    daemon: DaemonProcess, config_file: Path
) -> None:
    config_file.write_text("[embedded]\nenabled = 'always'\nmodel_path = '/no/such/file'\n")
    assert daemon.ctl("reload").returncode == 78
    outcome = daemon.ctl("config", "check")
    assert (outcome.returncode, outcome.stdout) == (78, "")
    assert f"the daemon (pid {daemon.process.pid}) does not take it" in outcome.stderr
    assert "/no/such/file" in outcome.stderr

    config_file.write_text("[llm]\n")
    outcome = daemon.ctl("config", "check")
    assert (outcome.returncode, outcome.stdout) == (0, f"{config_file} is valid\n")


def test_the_path_is_that_of_the_daemon(
    short_dir: Path, upstream: UpstreamServer, config_file: Path
) -> None:
    theirs = short_dir / "theirs.toml"
    with daemon_process(short_dir, "--config", str(theirs), environ=asks(upstream)) as daemon:
        outcome = daemon.ctl("config", "path")
        daemon.ctl("config", "set", "llm_max_tokens", "5")
    assert outcome.stdout == f"{theirs}\n"
    assert f"one started from this shell would read {config_file}" in outcome.stderr
    assert theirs.exists()
    assert not config_file.exists()


def test_what_was_set_before_the_start_holds_from_then_on(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    early = subprocess.run(
        [*CTL, "config", "set", "llm_max_tokens", "5"],
        env=environ_of(short_dir),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    assert (early.returncode, early.stdout) == (0, "llm_max_tokens = 5\n")
    assert "no daemon answers: it holds from the next start on" in early.stderr
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        assert max_tokens_sent(daemon, upstream) == 5


# A person --------------------------------------------------------------------------------------


def test_a_person_chooses_the_model_from_the_list(
    daemon: DaemonProcess, upstream: UpstreamServer, config_file: Path
) -> None:
    upstream.models = ["m", "b"]
    daemon.ctl("models", "--refresh")
    with at_terminal([*CTL, "config", "--key", "llm_model"], daemon.environ) as child:
        child.expect_exact("* 1  m")
        child.expect_exact("  2  b")
        child.expect_exact("Number or id")
        child.sendline("3")
        child.expect_exact("There is no 3 in the list.")
        child.expect_exact("Number or id")
        child.sendline("2")
        shown = rest_of(child)
        assert child.exitstatus == 0

    assert shown.endswith(f"llm_model = b\n{in_force(daemon, config_file)}")
    assert config_file.read_text() == '[llm]\nmodel = "b"\n'
    daemon.ctl("generate", "hi")
    assert upstream.generations[-1].body["model"] == "b"


def test_a_person_leaves_the_model_as_it_is(daemon: DaemonProcess, config_file: Path) -> None:
    with at_terminal([*CTL, "config", "--key", "llm_model"], daemon.environ) as child:
        child.expect_exact("Number or id")
        child.sendline("")
        rest_of(child)
        assert child.exitstatus == 0
    assert not config_file.exists()


def test_nobody_is_asked_in_a_script(daemon: DaemonProcess) -> None:
    outcome = daemon.ctl("config", "--key", "llm_model")
    assert (outcome.returncode, outcome.stdout, outcome.stderr) == (0, "\n", "")
    command = ["bash", "-c", 'm=$("$@"); echo "<$m>"', "-", *CTL, "config", "--key", "llm_model"]
    with at_terminal(command, daemon.environ) as child:
        assert rest_of(child) == "<>\n"


# A secret --------------------------------------------------------------------------------------


def in_proc(process_id: int | None) -> str:
    """Return what every user can see of a process, its arguments, and to be sure its variables.

    Empty where there is no such folder, as on macOS.
    """
    files = [Path(f"/proc/{process_id}/{name}") for name in ("cmdline", "environ")]
    return "".join(file.read_text() for file in files if file.exists())


def test_a_secret_is_typed_unseen_and_shown_nowhere(
    daemon: DaemonProcess, upstream: UpstreamServer, config_file: Path
) -> None:
    with at_terminal([*CTL, "config", "set", "llm_api_key"], daemon.environ) as child:
        child.expect_exact("llm_api_key: ")
        child.waitnoecho()
        visible = in_proc(child.pid)
        child.sendline(SECRET)
        shown = rest_of(child)
        assert child.exitstatus == 0
    assert shown == f"\nllm_api_key = ********\n{in_force(daemon, config_file)}"
    assert SECRET in config_file.read_text()
    assert config_file.stat().st_mode & 0o777 == 0o600

    daemon.ctl("generate", "hi")
    assert upstream.generations[-1].headers["authorization"] == f"Bearer {SECRET}"
    for command in (
        ["config"],
        ["config", "--json"],
        ["config", "get", "llm_api_key"],
        ["config", "get", "llm_api_key", "--json"],
        ["config", "diff"],
        ["config", "diff", "--json"],
        ["config", "check", "--json"],
        ["config", "unset", "llm_max_tokens", "--json"],
        ["status", "--json"],
        ["reload", "--json"],
    ):
        outcome = daemon.ctl(*command, environ={"DEVSYNTH_LLM_API_KEY": f"{SECRET}-other"})
        assert outcome.returncode == 0
        visible += outcome.stdout + outcome.stderr
    assert "********" in visible
    assert SECRET not in visible + daemon.log()


def test_a_secret_is_read_from_stdin_and_shown_nowhere(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    with subprocess.Popen(
        [*CTL, "--json", "config", "set", "llm_api_key"],
        env=daemon.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        visible = in_proc(process.pid)
        output, errors = process.communicate(f"{SECRET}\n", timeout=15)
    assert (process.returncode, errors) == (0, "")
    told = json.loads(output)
    assert (told["value"], told["effective"], told["source"]) == ("********", "********", "file")

    daemon.ctl("generate", "hi")
    assert upstream.generations[-1].headers["authorization"] == f"Bearer {SECRET}"
    refused = daemon.ctl("config", "set", "llm_api_key", stdin=f"{SECRET} with spaces\n")
    assert refused.returncode == 78
    visible += output + refused.stdout + refused.stderr
    daemon.wait_logged("settings changed: llm_api_key")
    assert SECRET not in visible + daemon.log()
