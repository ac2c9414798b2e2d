"""A client in a process that forks: parent and child each have a connection of their own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import DaemonProcess, daemon_process, toml_of
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer

PROGRAM = """
import os
import sys

from devsynthctl import Client, ConnectionLost

client = Client()
stream = client.stream("x")
assert next(stream).text == "a"
child = os.fork()
if child == 0:
    try:
        next(stream)
    except ConnectionLost as exc:
        print("child: the stream is the parent's:", "process" in str(exc))
    stream.close()
    print("child:", [model.id for model in client.list().models])
    client.close()
    sys.stdout.flush()
    os._exit(0)
os.waitpid(child, 0)
print("parent:", client.ping().protocol, flush=True)
sys.stdin.read(1)
print("parent:", "".join(chunk.text for chunk in stream), flush=True)
client.close()
"""


@pytest.fixture
def upstream() -> Iterator[UpstreamServer]:
    with UpstreamServer(["m"]) as server:
        yield server


@pytest.fixture
def daemon(short_dir: Path, upstream: UpstreamServer) -> Iterator[DaemonProcess]:
    settings = {"llm_provider": "openai", "llm_api_base": upstream.url}
    (short_dir / "config.toml").write_text(toml_of(settings), encoding="utf-8")
    with daemon_process(short_dir) as daemon:
        yield daemon


def test_a_child_asks_by_itself_and_leaves_the_parent_alone(
    daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("a", "b", "c", gate=gate))
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=daemon.environ,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        gate.step()
        assert process.stdout
        assert [process.stdout.readline() for _ in range(3)] == [
            "child: the stream is the parent's: True\n",
            "child: ['m']\n",
            "parent: 1\n",
        ]
        gate.step(3)
        printed, _ = process.communicate("\n", timeout=10)

    assert (printed, process.returncode) == ("parent: bc\n", 0)
