"""The scripts for the shell."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.examples.conftest import EXAMPLES
from tests.lmstudio import LMStudio
from tests.support.daemon import DaemonProcess
from tests.support.needs import need
from tests.support.upstream_replies import status, tokens
from tests.support.upstream_server import UpstreamServer

SCRIPTS = sorted((EXAMPLES / "shell").iterdir())

FZF = """#!/bin/sh
# Stands in for a person at fzf: takes the last line that the filter would show.
echo "$@" >"$FZF_TOLD"
tail -n 1
"""


def run(
    environ: Mapping[str, str], cwd: Path, script: str, *words: str, stdin: str = ""
) -> "subprocess.CompletedProcess[str]":
    """Run a script to its end in the folder *cwd*."""
    return subprocess.run(
        [EXAMPLES / "shell" / script, *words],
        cwd=cwd,
        env=dict(environ),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_shellcheck_finds_nothing(script: Path) -> None:
    shellcheck = need("shellcheck", "apt-get install shellcheck")

    done = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_it_prints_its_usage(script: Path, tmp_path: Path, path: str) -> None:
    outcome = run({"PATH": path}, tmp_path, script.name, "--help")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert outcome.stdout.startswith(f"usage: {script.name} ")


# commit-message --------------------------------------------------------------------------------


@pytest.fixture
def repository(tmp_path: Path, daemon: DaemonProcess) -> Path:
    """Return the folder of a repository with a staged file; its editor appends a line."""
    git = need("git", "apt-get install git")
    folder = tmp_path / "repository"
    folder.mkdir()
    daemon.environ |= {
        "GIT_CONFIG_GLOBAL": str(tmp_path / "gitconfig"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "A",
        "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "A",
        "GIT_COMMITTER_EMAIL": "a@example.org",
        "GIT_EDITOR": "printf 'Seen by a person.\\n' >>",
    }
    (folder / "file").write_text("new line\n")
    for words in (["init", "--quiet"], ["add", "file"]):
        subprocess.run([git, *words], cwd=folder, env=daemon.environ, check=True)
    return folder


def log_of(repository: Path, daemon: DaemonProcess) -> str:
    """Return the messages of the commits."""
    done = subprocess.run(
        ["git", "log", "--format=%B"],
        cwd=repository,
        env=daemon.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def test_a_commit_message_is_made_of_what_is_staged(
    daemon: DaemonProcess, upstream: UpstreamServer, repository: Path
) -> None:
    upstream.script.append(tokens("-n is a line\n\nIt is", " new.\n"))

    outcome = run(daemon.environ, repository, "commit-message", "--quiet")

    assert (outcome.returncode, outcome.stderr) == (0, "")
    assert log_of(repository, daemon) == "-n is a line\n\nIt is new.\n\nSeen by a person."
    asked = upstream.generations[0].body["messages"][0]["content"]
    assert "+new line" in asked


def test_without_an_answer_nothing_is_committed(
    daemon: DaemonProcess, upstream: UpstreamServer, repository: Path
) -> None:
    upstream.script.append(status(401, {"error": "no"}))

    outcome = run(daemon.environ, repository, "commit-message")

    assert outcome.returncode == 4
    assert outcome.stderr.startswith("devsynthctl: ")
    assert log_of(repository, daemon) == ""


def test_with_nothing_staged_nothing_is_asked(
    daemon: DaemonProcess, upstream: UpstreamServer, repository: Path
) -> None:
    subprocess.run(["git", "rm", "--quiet", "--cached", "file"], cwd=repository, check=True)

    outcome = run(daemon.environ, repository, "commit-message")

    assert outcome.returncode == 1
    assert "see git add" in outcome.stderr
    assert not upstream.generations


def test_outside_of_a_repository_that_is_told(tmp_path: Path, path: str) -> None:
    need("git", "apt-get install git")

    outcome = run({"PATH": path, "LC_ALL": "C"}, tmp_path, "commit-message")

    assert (outcome.returncode, outcome.stdout) == (128, "")
    assert outcome.stderr.startswith("fatal: not a git repository")
    assert outcome.stderr.count("\n") == 1


# pick-model ------------------------------------------------------------------------------------


def selected(daemon: DaemonProcess) -> str:
    """Return the id of the selected model."""
    lines = daemon.ctl("models").stdout.splitlines()
    return next(line.split("\t")[0] for line in lines if line.endswith("*"))


@pytest.fixture
def bare_path(studio_daemon: DaemonProcess, tmp_path: Path, path: str) -> Path:
    """Return the only folder on the PATH; no fzf is on it."""
    folder = tmp_path / "bin"
    shutil.copytree(path.partition(os.pathsep)[0], folder)
    for command in ("awk", "wc", "tail"):
        (folder / command).symlink_to(need(command, "install the usual Unix commands"))
    studio_daemon.environ["PATH"] = str(folder)
    return folder


def test_a_model_is_picked_by_its_number(
    studio_daemon: DaemonProcess, tmp_path: Path, bare_path: Path
) -> None:
    assert selected(studio_daemon) == "qwen/qwen3-4b"

    outcome = run(studio_daemon.environ, tmp_path, "pick-model", stdin="2\n")

    assert (outcome.returncode, bare_path.name) == (0, "bin")
    assert "  2  google/gemma-3-4b\n" in outcome.stderr
    assert selected(studio_daemon) == "google/gemma-3-4b"


@pytest.mark.parametrize(("typed", "exit_status"), [("3\n", 2), ("0\n", 2), ("\n", 2), ("", 1)])
@pytest.mark.usefixtures("bare_path")
def test_a_number_that_is_not_there_picks_nothing(
    studio_daemon: DaemonProcess, tmp_path: Path, typed: str, exit_status: int
) -> None:
    outcome = run(studio_daemon.environ, tmp_path, "pick-model", stdin=typed)

    assert outcome.returncode == exit_status
    assert selected(studio_daemon) == "qwen/qwen3-4b"


def test_a_model_is_picked_with_fzf(
    studio_daemon: DaemonProcess, tmp_path: Path, bare_path: Path
) -> None:
    (bare_path / "fzf").write_text(FZF)
    (bare_path / "fzf").chmod(0o755)
    studio_daemon.environ["FZF_TOLD"] = str(tmp_path / "told")

    outcome = run(studio_daemon.environ, tmp_path, "pick-model")

    assert outcome.returncode == 0
    assert "--header-lines=1" in (tmp_path / "told").read_text()
    assert selected(studio_daemon) == "google/gemma-3-4b"


def test_without_a_loaded_model_there_is_nothing_to_pick(
    studio_daemon: DaemonProcess, lmstudio: LMStudio, tmp_path: Path
) -> None:
    assert not lmstudio.world.instances

    outcome = run(studio_daemon.environ, tmp_path, "pick-model", "--loaded")

    assert (outcome.returncode, outcome.stderr) == (5, "pick-model: there is no such model\n")


# each-file -------------------------------------------------------------------------------------


def test_each_file_gets_its_answer(
    daemon: DaemonProcess, upstream: UpstreamServer, tmp_path: Path
) -> None:
    names = ["a b.txt", "-c.txt"]
    for name in names:
        (tmp_path / name).write_text(f"text of {name}")

    outcome = run(daemon.environ, tmp_path, "each-file", "What is it?", *names)

    assert (outcome.returncode, outcome.stdout) == (0, "")
    assert outcome.stderr.splitlines() == names
    for name in names:
        assert (tmp_path / f"{name}.answer").read_text() == "Hello world\n"
    assert upstream.generations[0].body["messages"][0]["content"].endswith("text of a b.txt")


def test_a_file_that_fails_is_left_out(
    daemon: DaemonProcess, upstream: UpstreamServer, tmp_path: Path
) -> None:
    upstream.script.append(status(500, {"error": "no"}))
    (tmp_path / "bad").write_text("bad")
    (tmp_path / "good").write_text("good")

    outcome = run(daemon.environ, tmp_path, "each-file", "What?", "bad", "missing", "good")

    assert outcome.returncode != 0
    assert sorted(path.name for path in tmp_path.glob("*.answer*")) == ["good.answer"]


def test_where_no_other_file_could_fare_better_it_stops(
    daemon: DaemonProcess, upstream: UpstreamServer, tmp_path: Path
) -> None:
    upstream.script.append(status(401, {"error": "no"}))
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)

    outcome = run(daemon.environ, tmp_path, "each-file", "What?", "one", "two")

    assert outcome.returncode == 4
    assert len(upstream.generations) == 1
    assert not list(tmp_path.glob("*.answer*"))
