"""zsh and fish run a completion script without a terminal."""

import os
import subprocess
from pathlib import Path

from tests.support.needs import need

ZSH = """
autoload -Uz compinit && compinit -u -D
_greet() { compadd hello goodbye }
compdef _greet greet
print -r -- $_comps[greet]
"""

FISH = """
complete --command greet --no-files --arguments 'hello goodbye'
complete --do-complete 'greet he'
"""


def run_script(shell: list[str], script: str, home: Path) -> str:
    """Return what *script* prints; the shell keeps its own files in *home*."""
    places = {name: str(home) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")}
    done = subprocess.run(
        [*shell, "-c", script],
        env=os.environ | places,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_zsh_registers_a_completion(tmp_path: Path) -> None:
    zsh = need("zsh", "apt-get install zsh")

    assert run_script([zsh, "-f"], ZSH, tmp_path) == "_greet\n"


def test_fish_completes_a_command(tmp_path: Path) -> None:
    fish = need("fish", "apt-get install fish")

    assert run_script([fish, "--no-config"], FISH, tmp_path) == "hello\n"
