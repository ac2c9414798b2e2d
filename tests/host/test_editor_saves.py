"""Real editors save the config file of a running daemon, and what they saved is in force."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl import Client
from tests.support.daemon import daemon_process, toml_of
from tests.support.needs import need
from tests.support.upstream_server import free_port

KEY = "llm_max_tokens"

EMACS = """
(find-file "config.toml")
(while (re-search-forward "^max_tokens = .*$" nil t)
  (replace-match "max_tokens = VALUE"))
(save-buffer)
"""


@pytest.fixture
def client(short_dir: Path) -> Iterator[Client]:
    """Return a client of a daemon whose config file is in *short_dir*."""
    base = f"http://127.0.0.1:{free_port()}/v1"
    settings = {"llm_provider": "openai", "llm_api_base": base, KEY: 1}
    (short_dir / "config.toml").write_text(toml_of(settings))
    with daemon_process(short_dir) as daemon, Client(daemon.endpoint) as client:
        yield client


def wait_for(client: Client, value: int) -> None:
    """Wait until *value* is in force; the time limit of the test ends it."""
    while client.config_get(KEY).settings[0].value != value:
        pass


@pytest.mark.parametrize("backupcopy", ["yes", "no", "auto"])
@pytest.mark.parametrize("backup", ["backup", "nobackup nowritebackup"])
def test_neovim(client: Client, short_dir: Path, backupcopy: str, backup: str) -> None:
    nvim = need("nvim", "apt-get install neovim")
    for value in (2, 3):
        edit = f"%s/^max_tokens = .*/max_tokens = {value}/"
        options = f"set backupcopy={backupcopy} {backup}"
        run(
            short_dir,
            nvim,
            "--headless",
            "--clean",
            "config.toml",
            f"+{options}",
            f"+{edit}",
            "+wq",
        )
        wait_for(client, value)


def test_emacs(client: Client, short_dir: Path) -> None:
    emacs = need("emacs", "apt-get install emacs-nox")
    for value in (2, 3):
        (short_dir / "edit.el").write_text(EMACS.replace("VALUE", str(value)))
        run(short_dir, emacs, "-Q", "--batch", "--load", "edit.el")
        wait_for(client, value)


def test_sed(client: Client, short_dir: Path) -> None:
    for value in (2, 3):
        run(short_dir, "sed", "-i", f"s/^max_tokens = .*/max_tokens = {value}/", "config.toml")
        wait_for(client, value)


def run(folder: Path, *command: str) -> None:
    subprocess.run(
        command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=15
    )
