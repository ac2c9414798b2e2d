"""``config edit``: what a person's editor leaves is saved if it is valid, and else not lost."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from devsynthd.settings.schema import MASK
from devsynthd.settings.template import default_file
from tests.ctl.conftest import Run
from tests.ctl.settings_replies import SECRET, report, setting, with_config
from tests.support.fake_daemon import FakeDaemon
from tests.support.person import at_terminal, rest_of

OLD = "# mine\n[llm]\nmodel = 'a' # this\n"
INVALID = "[llm]\nmodel = 5\nmodle = 'a'\n"

MakeEditor = Callable[[str], Path]


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder for temporary files."""
    folder = tmp_path / "temp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, temp: Path) -> Iterator[MakeEditor]:
    """Return a function that makes $EDITOR of a program: Python, with the *file* to edit."""
    monkeypatch.delenv("VISUAL", raising=False)
    program = tmp_path / "editor"

    def make(text: str) -> Path:
        program.write_text(
            f"#!{sys.executable}\nimport pathlib, sys\nfile = pathlib.Path(sys.argv[-1])\n{text}\n"
        )
        program.chmod(0o755)
        monkeypatch.setenv("EDITOR", str(program))
        return program

    yield make
    assert temp.is_dir()


def writes(text: str) -> str:
    """Return a program for an editor: it leaves *text*."""
    return f"file.write_text({text!r})"


def kept_in(temp: Path, told: str) -> str:
    """Return the text that is kept in a file that *told* names, and that is all there is."""
    (folder,) = temp.iterdir()
    (file,) = folder.iterdir()
    assert f"your text is kept in {file}" in told
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    return file.read_text()


# Saved -----------------------------------------------------------------------------------------


def test_what_the_editor_leaves_is_saved(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path, tmp_path: Path
) -> None:
    config_file.write_text(OLD)
    config_file.chmod(0o640)
    seen = tmp_path / "seen"
    editor(
        f"modes = [oct(each.stat().st_mode & 0o777) for each in (file, file.parent)]\n"
        f"text = file.read_text()\n"
        f"pathlib.Path({str(seen)!r}).write_text(repr((modes, file.suffix, text)))\n"
        "file.write_text(text.replace(\"'a'\", \"'b'\") + 'max_tokens = 5\\n')"
    )
    process = run("config", "edit")
    assert seen.read_text() == repr((["0o600", "0o700"], ".toml", OLD))
    assert process.stdout == "llm_model = b\nllm_max_tokens = 5\n"
    assert process.stderr == (
        f"devsynthctl: written to {config_file}; no daemon answers: it holds from the next start "
        "on\n"
    )
    assert config_file.read_text() == "# mine\n[llm]\nmodel = 'b' # this\nmax_tokens = 5\n"
    assert config_file.stat().st_mode & 0o777 == 0o640
    assert list(temp.iterdir()) == []


def test_a_new_file_starts_with_every_setting_explained(
    run: Run, config_file: Path, editor: MakeEditor
) -> None:
    editor("file.write_text(file.read_text().replace('# max_tokens = 1024', 'max_tokens = 7'))")
    process = run("config", "edit")
    assert (process.returncode, process.stdout) == (0, "llm_max_tokens = 7\n")
    wanted = default_file().replace("# max_tokens = 1024", "max_tokens = 7")
    assert config_file.read_text() == wanted != default_file()
    assert config_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", [OLD, None, INVALID], ids=["a file", "none", "an invalid one"])
def test_nothing_is_written_if_nothing_changed(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path, text: str | None
) -> None:
    if text is not None:
        config_file.write_text(text)
    editor("file.write_bytes(file.read_bytes())")
    process = run("config", "edit")
    assert (process.returncode, process.stdout) == (0, "")
    assert process.stderr == "devsynthctl: nothing changed\n"
    assert (config_file.read_text() if config_file.exists() else None) == text
    assert list(temp.iterdir()) == []


def test_an_invalid_file_can_be_mended(run: Run, config_file: Path, editor: MakeEditor) -> None:
    config_file.write_text("[llm\nmodel = 5")
    editor(writes(OLD))
    assert run("config", "edit").returncode == 0
    assert config_file.read_text() == OLD


def test_an_editor_may_save_by_renaming(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    editor(
        "new = file.with_name('new')\n"
        f"new.write_text({OLD!r})\n"
        "file.rename(file.with_name('old~'))\n"
        "new.rename(file)"
    )
    assert run("config", "edit").returncode == 0
    assert config_file.read_text() == OLD
    assert list(temp.iterdir()) == []


def test_a_secret_is_shown_to_the_editor_only(
    run: Run, config_file: Path, editor: MakeEditor
) -> None:
    config_file.write_text(f"[llm]\napi_key = '{SECRET}'\n")
    editor(f"file.write_text(file.read_text().replace({SECRET!r}, {SECRET + '2'!r}))")
    process = run("config", "edit")
    assert process.stdout == f"llm_api_key = {MASK}\n"
    assert SECRET not in process.stderr
    assert f"{SECRET}2" in config_file.read_text()


def test_the_result_as_json(run: Run, config_file: Path, editor: MakeEditor) -> None:
    editor(writes(OLD))
    path = str(config_file)
    saved, unchanged = (run("config", "edit", "--json") for _ in range(2))
    assert json.loads(saved.stdout) == {"path": path, "saved": True, "changed": ["llm_model"]}
    assert json.loads(unchanged.stdout) == {"path": path, "saved": False, "changed": []}
    assert (saved.stderr, unchanged.stderr) == ("", "")


# Which editor ----------------------------------------------------------------------------------


def test_visual_comes_before_editor_and_may_have_arguments(
    run: Run, config_file: Path, editor: MakeEditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = editor("file.write_text(f'[llm]\\nmodel = \"{sys.argv[1:-1]}\"\\n')")
    monkeypatch.setenv("VISUAL", f"{program} --wait 'two words'")
    monkeypatch.setenv("EDITOR", "false")
    assert run("config", "edit").returncode == 0
    assert "['--wait', 'two words']" in config_file.read_text()
    monkeypatch.setenv("VISUAL", " ")
    assert "the editor false" in run("config", "edit").stderr


def test_else_it_is_what_the_machine_has(
    command: list[str], config_file: Path, editor: MakeEditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = editor(writes(OLD))
    monkeypatch.delenv("EDITOR")
    monkeypatch.setenv("PATH", str(program.parent))
    with at_terminal([*command, "config", "edit"]) as child:
        assert "there is no editor\nhint: name yours in the variable EDITOR" in rest_of(child)
    assert child.exitstatus == 1
    program.rename(program.with_name("nano"))
    with at_terminal([*command, "config", "edit"]) as child:
        rest_of(child)
    assert config_file.read_text() == OLD


@pytest.mark.parametrize(("elsewhere", "is_edited"), [("2>err", True), (">out", False)])
def test_an_editor_needs_the_terminal_for_what_it_reads_and_shows(
    command: list[str],
    config_file: Path,
    editor: MakeEditor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    elsewhere: str,
    is_edited: bool,  # noqa: FBT001 - a parameter
) -> None:
    program = editor(writes(OLD))
    program.rename(program.with_name("vim"))
    monkeypatch.delenv("EDITOR")
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.chdir(tmp_path)
    line = f"{shlex.join([*command, 'config', 'edit'])} {elsewhere}"
    with at_terminal(["/bin/sh", "-c", line]) as child:
        rest_of(child)
    assert config_file.exists() == is_edited


def test_without_a_terminal_none_is_started_that_needs_one(
    run: Run, config_file: Path, editor: MakeEditor, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = editor(writes(OLD))
    program.rename(program.with_name("vim"))
    monkeypatch.delenv("EDITOR")
    monkeypatch.setenv("PATH", str(program.parent))
    outcome = run("config", "edit")
    assert outcome.returncode == 1
    assert "there is no terminal to edit on\nhint: set one setting" in outcome.stderr
    assert not config_file.exists()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("false", "the editor false ended with status 1: nothing is saved"),
        ("/no/editor -w", "the editor /no/editor cannot be started: No such file"),
        ('vi "', "EDITOR = 'vi \"' is not a command"),
        ("''", "cannot be started"),
        ("sh -c 'kill -9 $$'", "was ended by signal 9"),
    ],
)
def test_an_editor_that_fails_is_told_and_nothing_is_saved(
    run: Run,
    config_file: Path,
    temp: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    message: str,
) -> None:
    config_file.write_text(OLD)
    monkeypatch.setenv("EDITOR", program)
    process = run("config", "edit")
    as_json = run("config", "edit", "--json")
    assert (process.returncode, process.stdout) == (1, "")
    assert message in process.stderr
    assert message in json.loads(as_json.stderr)["error"]["message"]
    assert "Traceback" not in process.stderr
    assert config_file.read_text() == OLD
    assert list(temp.iterdir()) == []


def test_an_editor_that_fails_after_it_has_written_loses_nothing(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    editor(f"{writes(OLD)}\nsys.exit(3)")
    process = run("config", "edit")
    assert process.returncode == 1
    assert kept_in(temp, process.stderr) == OLD
    assert not config_file.exists()


def test_an_editor_that_leaves_no_file_is_told(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    config_file.write_text(OLD)
    editor("file.unlink()")
    process = run("config", "edit")
    assert (process.returncode, process.stdout) == (1, "")
    assert "left no file behind" in process.stderr
    assert config_file.read_text() == OLD
    assert list(temp.iterdir()) == []


def test_ctrl_c_is_for_the_editor(
    command: list[str], config_file: Path, editor: MakeEditor
) -> None:
    editor(
        "import signal\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "print('ready', flush=True)\n"
        "signal.sigwait([signal.SIGINT])\n" + writes(OLD)
    )
    with at_terminal([*command, "config", "edit"]) as child:
        child.expect_exact("ready")
        child.sendintr()
        shown = rest_of(child)
        assert child.exitstatus == 0
    assert "llm_model = a\n" in shown
    assert config_file.read_text() == OLD


# Not saved -------------------------------------------------------------------------------------


def test_all_faults_are_told_and_the_text_is_kept(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    config_file.write_text(OLD)
    editor(writes(INVALID))
    process = run("config", "edit")
    assert (process.returncode, process.stdout) == (78, "")
    first, second, hint = process.stderr.splitlines()
    assert first.startswith(f"devsynthctl: {config_file}, line 2: [llm] model = 5 is not allowed")
    assert second.startswith(f"devsynthctl: {config_file}, line 3: unknown key")
    assert hint.startswith("hint: nothing is saved; your text is kept in ")
    assert kept_in(temp, hint) == INVALID
    assert config_file.read_text() == OLD


def test_all_faults_as_json(run: Run, config_file: Path, editor: MakeEditor, temp: Path) -> None:
    editor(writes(INVALID))
    process = run("config", "edit", "--json")
    assert (process.returncode, process.stdout) == (78, "")
    error = json.loads(process.stderr)["error"]
    assert [each.partition(": ")[0] for each in error["details"]["errors"]] == [
        f"{config_file}, line 2",
        f"{config_file}, line 3",
    ]
    assert kept_in(temp, error["hint"]) == INVALID
    assert Path(error["details"]["kept"]).read_text() == INVALID


def test_a_person_may_edit_again(
    command: list[str], config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    editor(
        f"text = file.read_text()\nfile.write_text({INVALID!r} if 'modle' not in text else {OLD!r})"
    )
    with at_terminal([*command, "config", "edit"]) as child:
        child.expect_exact(f"{config_file}, line 2")
        child.expect_exact(f"{config_file}, line 3")
        child.expect_exact("Edit again? [Y/n]")
        child.send("\r")
        shown = rest_of(child)
        assert child.exitstatus == 0
    assert "llm_model = a\n" in shown
    assert config_file.read_text() == OLD
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize(("answer", "status"), [("n\r", 78), ("\x04", 130), ("\x03", 130)])
def test_a_person_may_give_up_without_losing_anything(
    command: list[str],
    config_file: Path,
    editor: MakeEditor,
    temp: Path,
    answer: str,
    status: int,
) -> None:
    config_file.write_text(OLD)
    editor(writes(INVALID))
    with at_terminal([*command, "config", "edit"]) as child:
        child.expect_exact("Edit again? [Y/n]")
        child.send(answer)
        shown = rest_of(child)
        assert child.exitstatus == status
    assert "nothing is saved" in shown
    assert kept_in(temp, re.sub(r"\s+", " ", shown)) == INVALID
    assert config_file.read_text() == OLD


def test_nobody_is_asked_with_json(
    command: list[str], config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    editor(writes(INVALID))
    with at_terminal([*command, "config", "edit", "--json"]) as child:
        shown = rest_of(child)
    assert child.exitstatus == 78
    assert "Edit again" not in shown
    assert kept_in(temp, json.loads(shown)["error"]["hint"]) == INVALID
    assert not config_file.exists()


def test_what_somebody_else_wrote_meanwhile_stays(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    config_file.write_text(OLD)
    theirs = "[llm]\nmodel = 'theirs'\n"
    editor(f"pathlib.Path({str(config_file)!r}).write_text({theirs!r})\n{writes('[llm]')}")
    process = run("config", "edit")
    assert (process.returncode, process.stdout) == (78, "")
    assert f"{config_file} was changed by somebody else" in process.stderr
    assert kept_in(temp, process.stderr) == "[llm]"
    assert config_file.read_text() == theirs


def test_a_file_that_somebody_else_made_meanwhile_stays(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    editor(f"pathlib.Path({str(config_file)!r}).write_text('')\n{writes(OLD)}")
    process = run("config", "edit")
    assert process.returncode == 78
    assert kept_in(temp, process.stderr) == OLD
    assert config_file.read_text() == ""


def test_what_cannot_be_written_is_kept(
    run: Run, editor: MakeEditor, temp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    monkeypatch.setenv("DEVSYNTH_CONFIG", str(folder / "config.toml"))
    editor(f"pathlib.Path({str(folder)!r}).touch()\n{writes(OLD)}")  # no folder any more
    process = run("config", "edit")
    assert (process.returncode, process.stdout) == (78, "")
    assert "cannot be written" in process.stderr
    assert kept_in(temp, process.stderr) == OLD


def test_without_room_for_a_copy_nothing_is_edited(
    command: list[str], config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    config_file.write_text("#" * 2000)
    editor("print('it was started')")
    process = subprocess.run(
        ["bash", "-c", 'ulimit -f 1; exec "$@"', "-", *command, "config", "edit"],
        capture_output=True,
        text=True,
        check=False,
        timeout=15,
    )
    assert (process.returncode, process.stdout) == (1, "")
    assert "there is no room for a copy to edit: File too large" in process.stderr
    assert list(temp.iterdir()) == []


@pytest.mark.parametrize("what", ["folder", "pipe", "/dev/null"])
def test_what_is_no_file_is_not_edited(
    run: Run,
    config_file: Path,
    editor: MakeEditor,
    monkeypatch: pytest.MonkeyPatch,
    what: str,
) -> None:
    if what == "folder":
        config_file.mkdir()
    elif what == "pipe":
        subprocess.run(["mkfifo", config_file], check=True, timeout=10)
    else:
        monkeypatch.setenv("DEVSYNTH_CONFIG", what)
    editor("raise SystemExit('it was started')")
    process = run("config", "edit")
    assert process.returncode == 78
    assert "cannot be edited: it is not a regular file" in process.stderr
    assert "it was started" not in process.stderr


# With a daemon ---------------------------------------------------------------------------------


@pytest.fixture
def their_file(tmp_path: Path) -> Path:
    """Return the file of the daemon, which is not that of the shell."""
    path = tmp_path / "theirs.toml"
    path.write_text(OLD)
    return path


def test_the_file_of_the_daemon_is_edited_and_taken_up(
    run: Run, socket_path: Path, config_file: Path, their_file: Path, editor: MakeEditor
) -> None:
    new = "[llm]\nmodel = 'b'\nmax_tokens = 7\ntemperature = 0.5\n[embedded]\nthreads = 2\n"
    in_force = report(
        setting("llm_model", "c", "selected"),
        setting("llm_max_tokens", 7, "file"),
        setting("llm_temperature", 1.0, "env"),
        setting("embedded_threads", 2, "file"),
    )

    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), with_config(path=str(their_file)))
        daemon.result(daemon.receive(), with_config(path=str(their_file)))
        request = daemon.receive()
        assert request["op"] == "reload"
        assert their_file.read_text() == new
        daemon.result(request, {"config_generation": 2, "changed": []})  # it was quick to notice
        daemon.result(daemon.receive(), in_force)

    editor(writes(new))
    with FakeDaemon(socket_path, script) as daemon:
        process = run("config", "edit")
        assert [daemon.seen.get()["op"] for _ in range(4)][3] == "config_get"
    assert process.stdout == (
        "llm_model = b\nllm_max_tokens = 7\nllm_temperature = 0.5\nembedded_threads = 2\n"
    )
    who = "the daemon (pid 4321)"
    assert process.stderr.replace("devsynthctl: ", "").splitlines() == [
        f"written to {their_file}; {who} has in force all but what follows",
        f"llm_model: {who} goes on with c (selected)",
        f"llm_temperature: {who} goes on with 1 (env)",
        f"embedded_threads: {who} has it in force when the engine is idle",
    ]
    assert not config_file.exists()


def test_what_was_taken_out_has_its_default_again(
    run: Run, socket_path: Path, their_file: Path, editor: MakeEditor
) -> None:
    answers = {
        "status": with_config(path=str(their_file)),
        "reload": {"config_generation": 2, "changed": ["llm_model"]},
        "config_get": report(setting("llm_model")),
    }
    editor(writes("# nothing\n"))
    with FakeDaemon(socket_path, lambda daemon: daemon.serve(answers)):
        process = run("config", "edit")
    assert process.stdout == "llm_model is not set in the file\n"
    assert process.stderr == (
        f"devsynthctl: written to {their_file}; the daemon (pid 4321) has it in force\n"
    )


def test_what_the_daemon_does_not_take_is_saved_and_told(
    run: Run, socket_path: Path, their_file: Path, editor: MakeEditor, temp: Path
) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            daemon.result(daemon.receive(), with_config(path=str(their_file)))
        daemon.error(daemon.receive(), "config_invalid", hint="do this")

    editor(writes("# nothing\n"))
    with FakeDaemon(socket_path, script):
        process = run("config", "edit")
    assert (process.returncode, process.stdout) == (78, "")
    assert process.stderr == (
        "devsynthctl: the daemon (pid 4321) does not take it, and stays as it was: it is "
        f"config_invalid\nhint: {their_file} is saved all the same; do this\n"
    )
    assert their_file.read_text() == "# nothing\n"
    assert list(temp.iterdir()) == []


def test_a_daemon_that_left_meanwhile_reads_it_when_it_comes_back(
    run: Run, socket_path: Path, their_file: Path, editor: MakeEditor
) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.result(daemon.receive(), with_config(path=str(their_file)))
        daemon.hang_up()

    # It is on its way out by the time that the editor ends: the test waits for it.
    editor(
        "import socket\n"
        "while True:\n"
        "    with socket.socket(socket.AF_UNIX) as knock:\n"
        f"        if knock.connect_ex({str(socket_path)!r}):\n"
        "            break\n" + writes("# nothing\n")
    )
    with FakeDaemon(socket_path, script):
        process = run("config", "edit")
    assert process.returncode == 0
    assert process.stderr.endswith("no daemon answers: it holds from the next start on\n")


def test_a_file_that_is_not_on_this_machine_is_not_edited(
    run: Run, socket_path: Path, config_file: Path, editor: MakeEditor, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "no" / "such" / "folder" / "config.toml"
    answers = {"status": with_config(path=str(elsewhere))}
    editor(writes(OLD))
    with FakeDaemon(socket_path, lambda daemon: daemon.serve(answers)):
        process = run("config", "edit")
    assert process.stderr == (
        f"devsynthctl: written to {config_file}, but the daemon (pid 4321) reads {elsewhere}\n"
    )
    assert config_file.read_text() == OLD


@pytest.mark.timeout(10)
@pytest.mark.parametrize("makes", ["os.mkfifo(file)", "file.mkdir()"])
def test_an_editor_that_leaves_no_file_is_an_error(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path, makes: str
) -> None:
    config_file.write_text(OLD)
    editor(f"import os\nfile.unlink()\n{makes}")
    process = run("config", "edit")
    assert process.returncode == 78
    assert "is not a regular file" in process.stderr
    assert config_file.read_text() == OLD
    assert list(temp.iterdir()) == []


def test_an_editor_that_is_interrupted_is_130(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path
) -> None:
    config_file.write_text(OLD)
    editor(
        "import os, signal\nsignal.signal(signal.SIGINT, signal.SIG_DFL)\n"
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    process = run("config", "edit")
    assert process.returncode == 130
    assert "nothing is saved" in process.stderr
    assert list(temp.iterdir()) == []


def test_a_key_in_a_file_that_others_can_read_is_warned_about(
    run: Run, config_file: Path, editor: MakeEditor
) -> None:
    config_file.touch(mode=0o644)
    editor(writes(f"[llm]\napi_key = '{SECRET}'\n"))
    for command in ("edit", "check"):
        process = run("config", command)
        assert process.returncode == 0
        assert f"other users can read the secret in it: chmod 600 {config_file}" in process.stderr
        assert SECRET not in process.stderr + process.stdout


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_an_edit_that_is_ended_keeps_what_was_written_and_says_where(
    run: Run, config_file: Path, editor: MakeEditor, temp: Path, number: str
) -> None:
    config_file.write_text(OLD)
    editor(
        f"{writes(INVALID)}\nimport os, signal, time\nparent = os.getppid()\n"
        f"os.kill(parent, signal.{number})\n"
        "while os.getppid() == parent: time.sleep(0.01)"
    )
    process = run("config", "edit")
    assert process.returncode == 130
    assert kept_in(temp, process.stderr) == INVALID
    assert config_file.read_text() == OLD
