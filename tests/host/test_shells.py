"""Somebody types, presses Tab, and has the whole words standing there: in each shell, for real."""

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pexpect
import pytest

from tests.support.needs import need
from tests.support.person import hang_up

ODD = """it's "5 $HOME; ~ é\\n"""
IDS = ("qwen/qwen3-4b", "qwen/qwen3:8b", "gemma@q8:it", "=a,b#c", ODD)
CACHED = {
    "origin": {"provider": "lmstudio", "api_base": "http://localhost:1234"},
    "generation": 7,
    "fetched_at": 1.0,
    "listing": {
        "api": "lmstudio-v1",
        "models": [
            *({"id": each, "name": each, "kind": "llm"} for each in IDS),
            {"id": "nomic:v1", "name": "Nomic", "kind": "embedding"},
            {"id": "evil\x1b[2J\n", "name": "Evil", "kind": "llm"},
        ],
    },
}
START = {
    "bash": ["bash", "--norc", "--noprofile", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}
PREPARE = {
    "bash": "source <(devsynthctl completion bash)",
    "zsh": "bindkey -e; autoload -Uz compinit; compinit -u -D; "
    "source <(devsynthctl completion zsh)",
    "fish": "devsynthctl completion fish | source",
}
SHELLS = list(START)
TO_START_OF_LINE, TAB = "\x01", "\t"


class Shell:
    """An interactive shell on a terminal, with the completion of ``devsynthctl``."""

    def __init__(self, child: "pexpect.spawn[str]") -> None:
        self._child = child

    def words(self, keys: str) -> list[str]:
        """Type *keys* and return the words that the shell then takes the line for."""
        # With another command before it, the line tells its own words instead of running.
        self._child.send(f"{keys}{TO_START_OF_LINE}tell \r")
        self._child.expect(r"\{\{(.*?)\}\}")
        assert isinstance(self._child.match, re.Match)
        words: list[str] = json.loads(bytes.fromhex(self._child.match.group(1)))
        return words

    def shows(self, keys: str, pattern: str) -> str:
        """Type *keys* and return what the terminal shows up to *pattern*."""
        self._child.send(keys)
        self._child.expect(pattern)
        return f"{self._child.before}{self._child.after}"


def environment(home: Path) -> Mapping[str, str]:
    """Return that of a user with the command, one that tells its arguments, and a cache."""
    cache, programs = home / "cache", home / "bin"
    kept = cache / "devsynth" / "models-00.json"
    for folder in (kept.parent, programs):
        folder.mkdir(parents=True)
    kept.write_text(json.dumps(CACHED))
    (programs / "devsynthctl").symlink_to(Path(sys.executable).with_name("devsynthctl"))
    tell = programs / "tell"
    tell.write_text(
        f"#!{sys.executable}\nimport json, sys\n"
        "print('{' + '{' + json.dumps(sys.argv[1:]).encode().hex() + '}' + '}')\n"
    )
    tell.chmod(0o755)
    (home / "picture one.png").touch()
    places = dict.fromkeys(("HOME", "ZDOTDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), str(home))
    return {
        **os.environ,
        **places,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(cache),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
    }


@contextmanager
def interactive(name: str, home: Path) -> Iterator[Shell]:
    need(name, f"apt-get install {name}")
    program, *args = START[name]
    child = pexpect.spawn(
        program, args, env=environment(home), cwd=str(home), encoding="utf-8", timeout=10
    )
    child.setwinsize(40, 150)
    try:
        child.send(f"{PREPARE[name]}; tell ready\r")
        child.expect(r"\{\{[0-9a-f]+\}\}")
        yield Shell(child)
    finally:
        hang_up(child)


@pytest.fixture(scope="module", params=SHELLS)
def shell(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shell]:
    """Return each shell in turn, at an empty line."""
    with interactive(request.param, tmp_path_factory.mktemp("home")) as opened:
        yield opened


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("sel", ["select"]),
        ("models --ref", ["models", "--refresh"]),
        ("models --kind emb", ["models", "--kind", "embedding"]),
        ("select qwen/qwen3-", ["select", "qwen/qwen3-4b"]),
        ("select qwen/qwen3:", ["select", "qwen/qwen3:8b"]),
        ("select gem", ["select", "gemma@q8:it"]),
        ("select gemma@q", ["select", "gemma@q8:it"]),
        ("select gemma@q8:", ["select", "gemma@q8:it"]),
        ("select it", ["select", ODD]),
        ("select it\\'s\\ ", ["select", ODD]),
        ('select "it', ["select", ODD]),
        ("select 'qwen/qwen3:", ["select", "qwen/qwen3:8b"]),
        ("select \\=a", ["select", "=a,b#c"]),
        ("--socket x generate -m gemma@", ["--socket", "x", "generate", "-m", "gemma@q8:it"]),
        ("generate --model=qwen/qwen3:", ["generate", "--model=qwen/qwen3:8b"]),
        ("load --context-length 4096 nom", ["load", "--context-length", "4096", "nomic:v1"]),
        ("embed -m n", ["embed", "-m", "nomic:v1"]),
        ("config get llm_temp", ["config", "get", "llm_temperature"]),
        ("config set llm_auto_select_model f", ["config", "set", "llm_auto_select_model", "false"]),
        ("generate --image pic", ["generate", "--image", "picture one.png"]),
        ("generate --image=pic", ["generate", "--image=picture one.png"]),
    ],
)
def test_tab_completes_the_word(shell: Shell, typed: str, words: list[str]) -> None:
    assert shell.words(f"devsynthctl {typed}{TAB}") == ["devsynthctl", *words]


def test_the_value_of_a_parameter_is_typed_right_behind_it(shell: Shell) -> None:
    words = shell.words(f"devsynthctl generate -o top_p{TAB}0.9 hi")
    assert words == ["devsynthctl", "generate", "-o", "top_p=0.9", "hi"]


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        # The first Tab completes as far as they agree; bash rings its bell before it lists them.
        ("bash", f"devsynthctl select q{TAB * 3}"),
        ("zsh", f"devsynthctl select q{TAB * 2}"),
        # A dumb terminal is too little for the list that fish draws.
        ("fish", "complete --do-complete 'devsynthctl select q'\r"),
    ],
)
def test_the_models_that_fit_are_listed_in_their_order(
    name: str, keys: str, tmp_path: Path
) -> None:
    with interactive(name, tmp_path) as shell:
        shown = shell.shows(keys, r"qwen3-4b[\s\S]*8b")
    assert "nomic" not in shown
    assert "evil" not in shown


def test_what_is_no_model_completes_nothing(shell: Shell) -> None:
    typed = f"devsynthctl select nobody{TAB}"
    assert shell.words(typed) == ["devsynthctl", "select", "nobody"]


def test_a_word_in_the_middle_of_a_line_is_completed_there(shell: Shell) -> None:
    back = "\x02" * len(" --json")
    words = shell.words(f"devsynthctl select gem --json{back}{TAB}")
    assert words == ["devsynthctl", "select", "gemma@q8:it", "--json"]


@pytest.mark.parametrize("name", SHELLS)
def test_the_script_says_how_it_is_installed(name: str, tmp_path: Path) -> None:
    with interactive(name, tmp_path) as shell:
        shown = shell.shows(f"devsynthctl completion {name}\r", "For each one")
    assert re.search(rf"# Completion of devsynthctl for {name}\.", shown)
