"""A thousand settings written at once, by several processes and by the daemon: nothing is lost."""

import multiprocessing
import os
import threading
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthctl.cli import run
from tests.support.daemon import daemon_process
from tests.support.upstream_server import free_port

WRITES = 200  # by each of the writers
LIMIT_S = 120.0

KEYS = ("llm_max_tokens", "llm_idle_timeout", "daemon_queue_limit", "embedded_threads")
"""Each is written by a process of its own, with the command, as if no daemon ran."""

DAEMONS_KEY = "daemon_poll_interval"
"""Written by the daemon, as it is asked to."""

TEXT = f"""\
# The first line.
[llm] # the upstream
provider = "openai"
api_base = "http://127.0.0.1:{free_port()}/v1"

# Before the tokens.
max_tokens = 1 # behind the tokens

[daemon]
# queue_limit = 64
  # indented

[embedded]
threads = 1
# The last line.
"""

COMMENTS = [line[line.index("#") :] for line in TEXT.splitlines() if "#" in line]


def write_all(config: str, socket: str, key: str) -> None:
    """Set *key* to 1, 2, 3 and so on, with the command, in this process."""
    os.environ |= {"DEVSYNTH_CONFIG": config, "DEVSYNTH_SOCKET": socket}
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        for value in range(1, WRITES + 1):
            if status := run(["config", "set", key, str(value)]):
                raise SystemExit(status)


def write_over_the_socket(client: Client) -> None:
    for value in range(1, WRITES + 1):
        client.config_set(DAEMONS_KEY, value)


def check(text: str) -> dict[str, Any]:
    """Return what *text* sets; it is whole."""
    found = tomllib.loads(text)
    assert [comment for comment in COMMENTS if comment not in text] == []
    assert found["llm"]["provider"] == "openai"
    return found


@pytest.mark.timeout(LIMIT_S + 30)
def test_a_thousand_writes_lose_nothing(short_dir: Path) -> None:
    path = short_dir / "config.toml"
    path.write_text(TEXT)
    spawn = multiprocessing.get_context("spawn")
    nowhere = str(short_dir / "nobody.sock")
    writers: list[BaseProcess] = [
        spawn.Process(target=write_all, args=(str(path), nowhere, key)) for key in KEYS
    ]
    with daemon_process(short_dir) as daemon, Client(daemon.endpoint) as client:
        asking = threading.Thread(target=write_over_the_socket, args=(client,))
        asking.start()
        for writer in writers:
            writer.start()
        looks = 0
        while asking.is_alive() or any(writer.is_alive() for writer in writers):
            check(path.read_text())
            looks += 1

        assert [writer.exitcode for writer in writers] == [0] * len(writers)
        assert looks > WRITES
        written = check(path.read_text())
        client.reload()
        in_force = {each.key: each.value for each in client.config_get().settings}
        for key in (*KEYS, DAEMONS_KEY):
            table, _, name = key.partition("_")
            assert written[table][name] == WRITES
            assert in_force[key] == WRITES
        assert client.status().config.valid
        assert "the settings stay as they were" not in daemon.log()
    assert [each.name for each in short_dir.iterdir() if each.name.startswith(".")] == []
