"""The Node.js example, with the packages from npm that it names."""

import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, cast

import pytest

from tests.examples.conftest import EXAMPLES
from tests.support.daemon import DaemonProcess
from tests.support.lines import Lines
from tests.support.needs import missing, need
from tests.support.upstream_exchange import Gate
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer

pytestmark = pytest.mark.timeout(120)  # the first run downloads

LOAD = "import 'zeromq'; import '@msgpack/msgpack'"


@pytest.fixture(scope="module")
def folder(request: pytest.FixtureRequest) -> Path:
    """Return a copy of the example with its packages; they stay there for the next run."""
    node = need("node", "install Node.js 18 or newer")
    npm = need("npm", "install npm")
    cache: pytest.Cache | None = request.config.cache
    assert cache, "run the tests with pytest's own cache"
    folder = cache.mkdir("examples-node")
    for file in (EXAMPLES / "node").glob("*.js*"):
        shutil.copy(file, folder)
    load = [node, "--input-type=module", "-e", LOAD]
    if subprocess.run(load, cwd=folder, capture_output=True, check=False).returncode:
        # The binaries lie in the package: its install script has nothing to do.
        quiet = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts")
        done = subprocess.run(
            [npm, "install", *quiet], cwd=folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            missing("what examples/node/package.json names", done.stderr)
    return folder


def run(folder: Path, environ: Mapping[str, str], *words: str) -> tuple[int, str, str]:
    """Run a script to its end and return its exit status and what it wrote."""
    done = subprocess.run(
        ["node", *words],
        cwd=folder,
        env=dict(environ),
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


@contextlib.contextmanager
def started(
    folder: Path, environ: Mapping[str, str], *words: str
) -> Iterator["subprocess.Popen[str]"]:
    """Start a script; it has ended after the block."""
    with subprocess.Popen(
        ["node", *words],
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read(process: "subprocess.Popen[str]", count: int) -> str:
    """Return the next *count* characters that *process* prints."""
    return cast("IO[str]", process.stdout).read(count)


def test_models_are_listed(folder: Path, studio_daemon: DaemonProcess) -> None:
    status, out, err = run(folder, studio_daemon.environ, "ask.js")

    assert (status, err) == (0, "")
    assert out.splitlines() == ["* qwen/qwen3-4b", "  google/gemma-3-4b"]


def test_an_answer_comes_as_it_is_made(
    folder: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("Grüße", ", 世界", gate=gate))

    with started(folder, daemon.environ, "ask.js", "say", "hello") as node:
        gate.step()
        assert read(node, 5) == "Grüße"
        gate.step(2)
        assert node.communicate(timeout=10) == (", 世界\n", "")

    assert node.returncode == 0
    assert upstream.generations[0].body["messages"] == [{"role": "user", "content": "say hello"}]


def test_ctrl_c_stops_the_model(
    folder: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("half", " done", gate=gate))

    with started(folder, daemon.environ, "ask.js", "hi") as node:
        gate.step()
        read(node, 4)
        node.send_signal(signal.SIGINT)
        _, err = node.communicate(timeout=10)

    upstream.wait_disconnected()
    assert (node.returncode, err.partition(":")[0]) == (130, "cancelled")


def test_a_reader_who_leaves_stops_the_model(
    folder: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("half", " done", "!", gate=gate))

    with started(folder, daemon.environ, "ask.js", "hi") as node:
        gate.step()
        read(node, 4)
        cast("IO[str]", node.stdout).close()
        gate.step()
        assert (node.wait(10), cast("IO[str]", node.stderr).read()) == (141, "")

    upstream.wait_disconnected()


@pytest.mark.parametrize("script", ["ask.js", "watch.js"])
def test_they_print_their_usage(folder: Path, path: str, script: str) -> None:
    status, out, err = run(folder, {"PATH": path}, script, "--help")

    assert (status, out.partition("  ")[0].strip(), err) == (0, f"usage: node {script}", "")


def test_a_word_too_many_is_told(folder: Path, path: str) -> None:
    assert run(folder, {"PATH": path}, "watch.js", "x") == (2, "", "usage: node watch.js\n")


LEAVES = """
import { once } from "node:events";
import { Client } from "./devsynth.js";
const client = await Client.connect();
for await (const chunk of client.stream("hi")) break;
const answers = await Promise.all([1, 2, 3].map((n) => client.ask("generate", { prompt: `${n}` })));
console.log(answers.map((each) => each.text).join("|"));
await once(process.stdin, "data");
client.close();
process.stdin.destroy();
"""


def test_leaving_the_loop_stops_the_model_and_the_client_goes_on(
    folder: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("half", " done", gate=gate))
    words = ("--input-type=module", "-e", LEAVES)

    with started(folder, daemon.environ, *words) as node:
        gate.step()
        assert read(node, 36) == "Hello world|Hello world|Hello world\n"
        upstream.wait_disconnected()  # the client is still there
        assert node.communicate("\n", timeout=10) == ("", "")

    assert node.returncode == 0


def test_what_the_daemon_refuses_is_told(folder: Path, daemon: DaemonProcess) -> None:
    code = LEAVES.partition("for await")[0] + 'await client.ask("generate", { promt: "hi" });'

    status, _, err = run(folder, daemon.environ, "--input-type=module", "-e", code)

    assert status == 1
    assert "code: 'bad_request'" in err
    assert "promt" in err


def test_without_a_daemon_it_fails_at_once(folder: Path, short_dir: Path, path: str) -> None:
    environ = {"PATH": path, "DEVSYNTH_SOCKET": str(short_dir / "nobody.sock")}

    status, out, err = run(folder, environ, "ask.js", "hi")

    assert (status, out) == (3, "")
    assert err.startswith("daemon_unreachable: no daemon listens at ")
    assert "start it with `devsynthd`" in err


def test_a_daemon_that_goes_away_is_noticed(
    folder: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    gate = Gate()
    upstream.script.append(tokens("half", " done", gate=gate))

    with started(folder, daemon.environ, "ask.js", "hi") as node:
        gate.step()
        read(node, 4)
        daemon.signal(signal.SIGKILL)
        _, err = node.communicate(timeout=10)

    assert (node.returncode, err.partition(":")[0]) == (3, "connection_lost")


def test_changes_are_told_and_so_is_the_daemons_end(
    folder: Path, daemon: DaemonProcess, upstream: UpstreamServer
) -> None:
    with started(folder, daemon.environ, "watch.js") as node:
        lines = Lines(cast("IO[str]", node.stdout))
        lines.wait_for("1 models, m answers")
        lines.wait_for(f"{upstream.url} is reachable")
        daemon.ctl("select", "other", "--force", "--no-persist")
        lines.wait_for("other answers")
        daemon.signal(signal.SIGKILL)
        lines.wait_for("went away; waiting for it")
        node.kill()
        lines.wait_end()


@pytest.mark.parametrize(
    "environ",
    [
        {"DEVSYNTH_SOCKET": "ipc:///srv/a.sock"},
        {"DEVSYNTH_SOCKET": "b/../a.sock"},
        {"DEVSYNTH_SOCKET": "~/a.sock"},
        {"DEVSYNTH_SOCKET": "", "XDG_RUNTIME_DIR": "/run/x"},
        {"XDG_RUNTIME_DIR": "relative", "XDG_CACHE_HOME": "/var/cache"},
        {},
    ],
    ids=str,
)
def test_it_looks_for_the_daemon_where_the_daemon_is(
    folder: Path, environ: dict[str, str], path: str, short_dir: Path
) -> None:
    home = {"HOME": str(short_dir), "PATH": path}
    code = "import { socketPath } from './address.js'; console.log(socketPath())"
    ask = "from os import environ; from devsynthd.host.address import socket_address as address; "
    ask += "import os; print(os.path.normpath(address(None, environ).path))"

    told = run(folder, environ | home, "--input-type=module", "-e", code)
    wanted = subprocess.run(
        [sys.executable, "-c", ask], cwd=folder, env=environ | home, capture_output=True, check=True
    )

    assert told == (0, wanted.stdout.decode(), "")
