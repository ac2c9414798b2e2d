"""What the processes of the daemon load and are told: nothing from outside, and no secret."""

import asyncio
import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec import Raw

from devsynthd.service.structure import Structure
from devsynthd.wire.errors import DevsynthError
from tests.engine.stand_ins import stand_in, use
from tests.process.conftest import asks
from tests.process.planted_secrets import found, secret
from tests.process.surroundings import after
from tests.support.daemon import daemon_process, environ_of
from tests.support.upstream_replies import tokens
from tests.support.upstream_server import UpstreamServer

SECRETS = {
    "DEVSYNTH_LLM_API_KEY": secret("Key"),
    "OPENAI_API_KEY": secret("Other"),
    "HTTPS_PROXY": f"http://me:{secret('Proxy')}@proxy.example:8080",
}
NAMES = ("Key", "Other", "Proxy")
TELLS = "import json, os, sys; open({path!r}, 'w').write(json.dumps([dict(os.environ), sys.argv]))"


@pytest.fixture
def told(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that a child is to write down in what it knows; there are secrets."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return short_dir / "told"


def test_the_engine_is_told_no_secrets_by_its_environment(told: Path) -> None:
    engine = stand_in(TELLS.format(path=str(told)))
    with pytest.raises(DevsynthError):  # it serves nothing
        asyncio.run(use(engine))

    environ, _ = json.loads(told.read_text())
    assert environ["PATH"]
    assert found(NAMES, told.read_text()) == set()


def test_the_check_of_a_schema_is_told_no_secrets_by_its_environment(told: Path) -> None:
    script = f"{TELLS.format(path=str(told))}; print('{{}}')"
    asyncio.run(Structure(Raw(b"{}"), command=(sys.executable, "-c", script)).fits("1"))

    assert json.loads(told.read_text())[0]["PATH"]
    assert found(NAMES, told.read_text()) == set()


# What is loaded ---------------------------------------------------------------------------------

MODULES = ("msgspec", "zmq", "click", "requests", "logging", "jsonschema_rs", "sitecustomize")
"""What is imported by the daemon, its children or the commands: at once or when it is needed."""

PROGRAMS = Path(sys.executable).parent
SCHEMA = '{"type": "integer"}'


@pytest.fixture
def planted(short_dir: Path) -> Path:
    """Return a folder where somebody has left modules; what is imported says so in a file."""
    folder = short_dir / "downloads"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(
            f"open({str(folder / 'loaded')!r}, 'a').write('{name} ')\nraise SystemExit(99)\n"
        )
    return folder


@pytest.mark.parametrize(
    "command",
    [
        [str(PROGRAMS / "devsynthd"), "--check"],
        [sys.executable, "-m", "devsynthd", "--check"],
        [str(PROGRAMS / "devsynthctl"), "config", "check"],
        [sys.executable, "-m", "devsynthctl", "config", "check"],
    ],
    ids=lambda command: " ".join(Path(each).name for each in command),
)
def test_nothing_is_loaded_from_the_folder_that_a_command_runs_in(
    planted: Path, short_dir: Path, command: list[str]
) -> None:
    (short_dir / "config.toml").touch()  # a missing one is warned about
    done = run_in(planted, short_dir, *command)

    assert (done.returncode, done.stderr) == (0, "")
    assert not (planted / "loaded").exists()


@pytest.mark.parametrize("name", ["devsynthd", "devsynthctl"])
def test_an_installed_command_is_its_own_package(planted: Path, short_dir: Path, name: str) -> None:
    for package in ("devsynthd", "devsynthctl"):
        (planted / package).mkdir()
        (planted / package / "__init__.py").write_text(f"open({str(planted / 'loaded')!r}, 'a')")

    done = run_in(planted, short_dir, str(PROGRAMS / name), "--version")

    assert (done.returncode, done.stderr) == (0, "")
    assert not (planted / "loaded").exists()


def test_nothing_is_loaded_from_the_folder_that_the_daemon_runs_in(
    planted: Path, short_dir: Path, upstream: UpstreamServer
) -> None:
    """Nor by the processes that it starts."""
    upstream.script.append(tokens("1"))
    within = after(f"cd {planted}")
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        done = daemon.ctl("generate", "--schema", SCHEMA, "hi")

    assert (done.returncode, done.stdout) == (0, "1\n")
    assert not (planted / "loaded").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of another's limits")
def test_no_core_is_written_of_a_daemon_that_crashes(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    """It would hold prompts, answers and the key."""
    within = after("ulimit -S -c $(ulimit -H -c)")
    with daemon_process(short_dir, environ=asks(upstream), within=within) as daemon:
        soft, hard = resource.prlimit(daemon.process.pid, resource.RLIMIT_CORE)

    assert (soft, hard) == (0, resource.getrlimit(resource.RLIMIT_CORE)[1])


def run_in(folder: Path, files: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """Run *command* in *folder*, for a daemon with its files in *files*."""
    return subprocess.run(
        command,
        cwd=folder,
        env=environ_of(files),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=15,
        check=False,
    )
