"""``devsynthd`` on machines that lack something: a cache, a home, an stderr; and its log."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from devsynthctl import Client
from tests.process.conftest import asks
from tests.support.daemon import DaemonProcess, daemon_process, environ_of
from tests.support.upstream_server import UpstreamServer, free_port


def test_the_first_answer_is_not_long_in_coming(short_dir: Path) -> None:
    """It takes a quarter of a second; the rest is for busy machines."""
    started = time.monotonic()
    environ = asks(f"http://127.0.0.1:{free_port()}")
    with daemon_process(short_dir, environ=environ):
        assert time.monotonic() - started < 3


def test_a_bare_path_is_an_address_and_its_directory_is_made(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    path = short_dir / "deep" / "down" / "x.sock"
    environ = {**asks(upstream), "DEVSYNTH_SOCKET": str(path)}
    with daemon_process(short_dir, environ=environ) as daemon:
        assert json.loads(daemon.ctl("status", "--json").stdout)["socket"] == str(path)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600


# Its log ---------------------------------------------------------------------------------------


def test_the_log_is_json_where_nobody_looks(daemon: DaemonProcess) -> None:
    daemon.wait_logged("is reachable")

    events = [json.loads(line) for line in daemon.log().splitlines()]

    assert {"time", "level", "logger", "message"} <= events[0].keys()
    assert f"listening on {daemon.socket}" in {event["message"] for event in events}


def test_the_log_is_text_on_request(short_dir: Path, upstream: UpstreamServer) -> None:
    with daemon_process(short_dir, "--log-format", "text", environ=asks(upstream)) as daemon:
        line = daemon.wait_logged("listening on")

    assert line.split()[1:] == ["info", "listening", "on", str(daemon.socket)]


def test_the_log_level_is_heeded(short_dir: Path, upstream: UpstreamServer) -> None:
    environ = {**asks(upstream), "DEVSYNTH_LLM_MODLE": "a"}
    with daemon_process(short_dir, "--log-level", "warning", environ=environ) as daemon:
        daemon.wait_logged("DEVSYNTH_LLM_MODLE")
        assert "listening on" not in daemon.log()


def test_one_warning_on_the_way_down_not_one_a_poll(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    (short_dir / "config.toml").touch()
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.wait_logged("is reachable: 1 models")
        upstream.stop()
        for _ in range(3):
            assert daemon.ctl("models", "--refresh").returncode == 0

        levels = [json.loads(line)["level"] for line in daemon.log().splitlines()]
        assert levels.count("warning") == 1


def test_no_secret_is_logged(short_dir: Path, upstream: UpstreamServer) -> None:
    environ = asks(upstream, llm_api_key="hunter2", daemon_log_level="debug")
    with daemon_process(short_dir, environ=environ) as daemon:
        assert daemon.ctl("generate", "hi").returncode == 0
        (exchange,) = upstream.generations
        assert exchange.headers["authorization"] == "Bearer hunter2"
        told = daemon.ctl("status", "--json").stdout

    assert "hunter2" not in daemon.log() + told


# What may be missing ---------------------------------------------------------------------------


def test_a_cache_that_cannot_be_written_is_told_and_no_more(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    (short_dir / "cache").touch()
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        line = daemon.wait_logged("cannot write the cache file")
        assert daemon.ctl("generate", "hi").stdout == "Hello world\n"

    event = json.loads(line)
    assert event["level"] == "warning"
    assert str(short_dir / "cache" / "devsynth") in event["message"]
    assert "will not survive a restart" in event["message"]


def test_it_needs_no_home(
    short_dir: Path, upstream: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        assert daemon.ctl("generate", "hi").stdout == "Hello world\n"


def serve_and_stop(
    process: "subprocess.Popen[bytes]", path: Path, upstream: UpstreamServer
) -> None:
    """Have *process* do what it logs, and end it."""
    try:
        with Client(path) as client:
            client.connect(wait=10)
            assert client.generate("hi").text == "Hello world"
            upstream.stop()
            assert client.list(refresh=True).source.stale
            client.shutdown()
        assert process.wait(10) == 0
    finally:
        process.kill()


@pytest.mark.parametrize("redirection", ["2>&-", ">&- 2>&- <&-", "2>/dev/full"])
def test_an_stderr_that_takes_nothing_is_no_reason_to_stop(
    short_dir: Path, upstream: UpstreamServer, redirection: str
) -> None:
    command = f'exec "$0" -m devsynthd {redirection}'
    environ = environ_of(short_dir, asks(upstream, daemon_log_level="debug"))
    with subprocess.Popen(["sh", "-c", command, sys.executable], env=environ) as process:
        serve_and_stop(process, short_dir / "s.sock", upstream)


def test_a_log_reader_that_leaves_is_no_reason_to_stop(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    (short_dir / "config.toml").touch()
    with subprocess.Popen(
        [sys.executable, "-m", "devsynthd"],
        env=environ_of(short_dir, asks(upstream)),
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        assert b"listening on" in process.stderr.readline()
        process.stderr.close()
        serve_and_stop(process, short_dir / "s.sock", upstream)


def test_a_config_file_whose_name_is_no_text_is_looked_at_now_and_then(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    folder = short_dir / b"\xff".decode(errors="surrogateescape")
    folder.mkdir()
    environ = {**asks(upstream), "DEVSYNTH_CONFIG": str(folder / "config.toml")}
    with daemon_process(short_dir, environ=environ) as daemon:
        daemon.wait_logged("cannot watch")
        (folder / "config.toml").write_text("[llm]\nmax_tokens = 7\n")
        daemon.wait_logged("llm_max_tokens from 1024 to 7")
        assert daemon.ctl("generate", "hi").stdout == "Hello world\n"

        (folder / "config.toml").write_text("[llm]\nmax_tokens = 0\n")
        refused = daemon.ctl("reload")
        assert refused.returncode == 78
        assert "udcff/config.toml, line 2" in refused.stderr
        assert "udcff/config.toml, line 2" in daemon.ctl("status").stdout
