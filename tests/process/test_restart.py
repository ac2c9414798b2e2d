"""One daemon a socket; and what the next one has of the one that was killed."""

import contextlib
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.wire.results import Models
from tests.process.conftest import Run, asks
from tests.support.daemon import DaemonProcess, daemon_process, environ_of
from tests.support.upstream_server import UpstreamServer, free_port


def cache_files(folder: Path) -> list[Path]:
    return sorted((folder / "cache" / "devsynth").glob("models-*.json"))


def cached(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_bytes()) for path in cache_files(folder)]


def list_once_it_is_kept(daemon: DaemonProcess, folder: Path) -> Models:
    """Return the list when the cache file holds it too."""
    with Client(daemon.endpoint) as client:
        models = client.list()
        while models.generation not in {each["generation"] for each in cached(folder)}:
            models = client.list()
    return models


def kill(daemon: DaemonProcess) -> None:
    daemon.signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL


def test_after_a_kill_the_socket_the_list_and_the_count_are_taken_over(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.models = ["a", "b"]
    environ = asks(upstream)
    with daemon_process(short_dir, environ=environ) as first:
        before = list_once_it_is_kept(first, short_dir)
        kill(first)
        assert first.socket.is_socket()
    upstream.stop()

    with daemon_process(short_dir, environ=environ) as second, Client(second.endpoint) as client:
        after = client.list()

    assert [model.id for model in after.models] == ["a", "b"]
    assert after.generation > before.generation
    assert after.source.stale
    assert after.source.fetched_at == before.source.fetched_at
    assert [warning.code for warning in after.warnings] == ["stale"]


def test_the_count_goes_on_for_another_upstream_and_the_list_does_not(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.models = ["a"]
    with daemon_process(short_dir, environ=asks(upstream)) as first:
        before = list_once_it_is_kept(first, short_dir)
        kill(first)

    elsewhere = asks(f"http://127.0.0.1:{free_port()}/v1")
    with daemon_process(short_dir, environ=elsewhere) as second, Client(second.endpoint) as client:
        after = client.list()

    assert [model.id for model in after.models] == ["local_model"]
    assert [warning.code for warning in after.warnings] == ["fallback"]
    assert after.generation > before.generation


def test_the_cache_is_for_this_user_only(short_dir: Path, upstream: UpstreamServer) -> None:
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        list_once_it_is_kept(daemon, short_dir)
        (path,) = cache_files(short_dir)

        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b'{"generation": "x"}'])
def test_a_corrupt_cache_is_ignored_and_replaced(
    short_dir: Path, upstream: UpstreamServer, content: bytes
) -> None:
    with daemon_process(short_dir, environ=asks(upstream)) as first:
        list_once_it_is_kept(first, short_dir)
        kill(first)
    (path,) = cache_files(short_dir)
    path.write_bytes(content)

    with daemon_process(short_dir, environ=asks(upstream)) as second:
        assert json.loads(second.wait_logged(str(path)))["level"] == "warning"
        with Client(second.endpoint) as client:
            client.list(refresh=True)
        second.signal(signal.SIGTERM)
        assert second.wait() == 0
        assert second.log().count("ignored") == 1

    assert cached(short_dir)[0]["listing"]["models"][0]["id"] == "m"


# One daemon a socket ---------------------------------------------------------------------------


def test_a_second_daemon_names_the_first_and_leaves_it_alone(
    devsynthd: Run, daemon: DaemonProcess
) -> None:
    with Client(daemon.endpoint) as client:
        before = client.ping()

        outcome = devsynthd()

        assert outcome.returncode == 1
        assert f"already runs on {daemon.socket} (pid {daemon.process.pid})" in outcome.stderr
        assert "Traceback" not in outcome.stderr
        assert client.ping() == before
    assert daemon.ctl("ping").returncode == 0


def test_of_many_that_start_together_one_stays(short_dir: Path, upstream: UpstreamServer) -> None:
    with contextlib.ExitStack() as running:
        starting = [running.enter_context(started(short_dir, upstream)) for _ in range(4)]
        with Client(short_dir / "s.sock") as client:
            client.connect(wait=10)
            winner = client.ping().pid
            losers = [process for process in starting if process.pid != winner]

            assert len(losers) == 3
            assert [process.wait(10) for process in losers] == [1, 1, 1]
            assert client.ping().pid == winner


@contextlib.contextmanager
def started(folder: Path, upstream: UpstreamServer) -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(
        [sys.executable, "-m", "devsynthd"],
        env=environ_of(folder, asks(upstream)),
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_a_socket_of_another_program_is_never_taken(devsynthd: Run, short_dir: Path) -> None:
    path = short_dir / "s.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        inode = path.stat().st_ino

        outcome = devsynthd()

        assert outcome.returncode == 1
        assert f"listens on {path}" in outcome.stderr
        assert path.stat().st_ino == inode


def test_a_file_in_the_way_survives(devsynthd: Run, short_dir: Path) -> None:
    path = short_dir / "s.sock"
    path.write_text("precious")

    outcome = devsynthd()

    assert outcome.returncode == 1
    assert f"{path} exists and is not a socket" in outcome.stderr
    assert path.read_text() == "precious"
