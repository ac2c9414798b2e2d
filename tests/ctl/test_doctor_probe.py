"""The looks at a server, where a whole run of ``doctor`` cannot arrange what they meet."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthctl.doctor.looks import is_service_manager, listener_of, lmstudio_port
from devsynthd.upstream.probe import Probe, Target, find_engine, try_address, within
from devsynthd.wire.errors import ConfigInvalid
from tests.support.needs import need


@pytest.fixture
def full() -> Iterator[int]:
    """Return a port whose listener takes no further connection: its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        waiting = []
        for _ in range(3):
            client = socket.socket()
            client.settimeout(0)
            client.connect_ex(server.getsockname())
            waiting.append(client)
        yield server.getsockname()[1]
        for client in waiting:
            client.close()


def test_a_connection_that_nobody_takes_is_given_up_in_time(full: int) -> None:
    tried = try_address("127.0.0.1", full, 0.2)

    assert (tried.address, tried.fault) == (f"127.0.0.1:{full}", "timeout")


def test_whatever_does_not_end_is_left_behind() -> None:
    forever = threading.Event()

    def wait() -> str:
        forever.wait()
        return "late"

    with pytest.raises(TimeoutError):
        within(0.05, wait)
    forever.set()
    assert within(5.0, wait) == "late"


def test_a_name_that_cannot_be_looked_up_is_an_error_of_the_system() -> None:
    def look_up() -> str:
        return ("ä" * 70).encode("idna").decode()

    with pytest.raises(OSError, match="label"):
        within(5.0, look_up)


def test_a_target_does_not_show_its_key() -> None:
    target = Target(provider="openai", base_url="http://h/v1", api_key="planted", connect_s=1.0)

    assert "planted" not in repr(target)


def test_a_key_that_no_header_can_carry() -> None:
    with pytest.raises(ConfigInvalid, match="llm_api_key"):
        Probe(Target(provider="openai", base_url="http://h/v1", api_key="ä", connect_s=1.0))


def test_proxies_are_never_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    here, there = (
        Probe(Target(provider="openai", base_url=f"http://{host}:1/v1", connect_s=1.0))
        for host in ("localhost", "gpu.example")
    )

    assert (here.proxy, here.host, here.port) == (None, "localhost", 1)
    assert (there.proxy, there.host, there.port) == ("http://127.0.0.1:9", "127.0.0.1", 9)


def test_no_engine_is_asked_for() -> None:
    assert find_engine("lmstudio", "auto", "") is None
    assert find_engine("lmstudio", "never", "/m.gguf") is None


def test_the_listener_is_this_process(short_dir: Path) -> None:
    path = short_dir / "s"
    assert listener_of(path) is None
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        assert listener_of(path) == (os.getpid() if sys.platform == "linux" else None)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it is launchd, and never listens")
def test_systemd_is_known_by_its_name(short_dir: Path) -> None:
    """Whoever kills the one that listens for the daemon kills all that it looks after."""
    stand_in = short_dir / "systemd"
    shutil.copy(need("cat", "install coreutils"), stand_in)
    with subprocess.Popen(
        [stand_in], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"!")
        process.stdout.read(1)  # it runs by now, and so has its name
        is_known = is_service_manager(process.pid)
    assert is_known
    assert not is_service_manager(os.getpid())


@pytest.mark.parametrize("content", ["", "[]", '{"port": "x"}', '{"port": 4321}'])
def test_lm_studios_notes(tmp_path: Path, content: str) -> None:
    home = tmp_path / "elsewhere"
    (home / ".internal").mkdir(parents=True)
    (tmp_path / ".lmstudio-home-pointer").write_text(f"{home}\n")
    (home / ".internal" / "http-server-config.json").write_text(content)

    assert lmstudio_port(tmp_path) == (4321 if "4321" in content else None)
    assert lmstudio_port(home) is None
