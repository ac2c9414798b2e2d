"""``completion``: what it costs to complete a word, and what is in the scripts."""

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ctl.conftest import Run

MODULES = """
import sys
from devsynthctl.cli import run
status = run(sys.argv[1:])
print(*sorted(sys.modules), file=sys.stderr)
sys.exit(status)
"""
REFERENCE = "import click, msgspec"
FACTOR = 4
"""Generous: it is about 1.5 where nobody else works on the machine."""

LINES = [
    "devsynthctl ",
    "devsynthctl generate --",
    "devsynthctl generate -m ",
    "devsynthctl config get ",
]


def asking(line: str, cache: Path) -> dict[str, str]:
    """Return the environment in which bash asks what completes *line*."""
    asked = {"_DEVSYNTHCTL_COMPLETE": "bash_complete", "COMP_LINE": line, "COMP_WORD": ""}
    return {**os.environ, **asked, "XDG_CACHE_HOME": str(cache)}


def kept(cache: Path, text: str) -> None:
    """Write the cache file with *text* in it."""
    folder = cache / "devsynth"
    folder.mkdir()
    (folder / "models-00.json").write_text(text)


def listing(*ids: str) -> str:
    models = [{"id": each, "name": each, "kind": "llm"} for each in ids]
    return json.dumps({"generation": 1, "listing": {"api": "openai", "models": models}})


@pytest.mark.parametrize("line", LINES)
def test_a_word_is_completed_without_anything_slow(line: str, tmp_path: Path) -> None:
    kept(tmp_path, listing("a"))
    process = subprocess.run(
        [sys.executable, "-c", MODULES, "completion", "bash"],
        env=asking(line, tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=15,
    )
    loaded = set(process.stderr.split())
    slow = {"asyncio", "http", "jsonschema", "jsonschema_rs", "prompt_toolkit", "requests", "rich"}
    slow |= {"devsynthctl.client", "devsynthctl.commands.generation", "subprocess", "tomlkit"}
    slow |= {"urllib3", "watchfiles", "zmq"}
    assert loaded & slow == set()
    assert process.stdout.startswith("plain,")


def test_a_word_is_completed_in_no_time(tmp_path: Path) -> None:
    kept(tmp_path, listing(*(f"owner/model-{number}" for number in range(200))))
    environ = asking("devsynthctl generate -m ", tmp_path)

    def median_s(*args: str) -> float:
        took = []
        for _ in range(5):
            started = time.perf_counter()
            subprocess.run([sys.executable, *args], env=environ, check=True, capture_output=True)
            took.append(time.perf_counter() - started)
        return statistics.median(took)

    asked_s = median_s("-m", "devsynthctl", "completion", "bash")
    assert asked_s < FACTOR * median_s("-c", REFERENCE)


@pytest.mark.parametrize("text", [None, "", "{", '{"listing": null}', '{"listing": {"models": 1}}'])
def test_a_cache_that_makes_no_sense_completes_nothing(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        kept(tmp_path, text)
    process = subprocess.run(
        [sys.executable, "-m", "devsynthctl", "completion", "bash"],
        env=asking("devsynthctl select ", tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=15,
    )
    assert (process.stdout.strip(), process.stderr) == ("", "")


def test_the_models_of_the_file_that_was_written_last_count(tmp_path: Path) -> None:
    kept(tmp_path, listing("newer"))
    older = tmp_path / "devsynth" / "models-01.json"
    older.write_text(listing("older"))
    os.utime(older, (1, 1))
    process = subprocess.run(
        [sys.executable, "-m", "devsynthctl", "completion", "bash"],
        env=asking("devsynthctl select ", tmp_path),
        capture_output=True,
        text=True,
        check=True,
        timeout=15,
    )
    assert process.stdout == "plain,newer\n"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_says_where_it_goes(run: Run, shell: str) -> None:
    process = run("completion", shell)
    assert (process.returncode, process.stderr) == (0, "")
    assert f"# Completion of devsynthctl for {shell}." in process.stdout
    assert f"devsynthctl completion {shell} >" in process.stdout
    assert "#     mkdir -p ~/" in process.stdout


def test_without_a_shell_it_says_which_there_are(run: Run) -> None:
    process = run("completion")
    assert (process.returncode, process.stdout) == (2, "")
    assert process.stderr.splitlines()[0] == "devsynthctl: which shell? Give bash, zsh or fish"


def test_another_shell_is_a_mistake(run: Run) -> None:
    process = run("completion", "tcsh")
    assert (process.returncode, process.stdout) == (2, "")
    assert "'bash', 'zsh', 'fish'" in process.stderr
