"""``doctor`` without a daemon: whatever can be checked by itself is."""

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.ctl.doctoring import Examined, examined
from tests.lmstudio import LMStudio
from tests.process.surroundings import as_nobody
from tests.support.daemon import toml_of
from tests.support.fake_daemon import FakeDaemon
from tests.support.needs import need_root
from tests.support.upstream_replies import html
from tests.support.upstream_server import UpstreamServer
from tests.upstream.certificates import self_signed

QWEN = "qwen/qwen3-4b"


@pytest.fixture
def config_file(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file that a daemon would read; LM Studio has no notes here."""
    monkeypatch.setenv("DEVSYNTH_CONFIG", str(short_dir / "config.toml"))
    monkeypatch.setenv("HOME", str(short_dir))
    return short_dir / "config.toml"


Look = Callable[..., Examined]


@pytest.fixture
def look(config_file: Path, short_dir: Path) -> Look:
    """Return a function that runs it with settings in the file, and no daemon."""

    def look(environ: dict[str, str] | None = None, **settings: object) -> Examined:
        config_file.write_text(toml_of(settings), encoding="utf-8")
        return examined(short_dir / "d.sock", environ=environ)

    return look


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@contextmanager
def saying(
    words: bytes, *, more: bytes = b"", until: threading.Event | None = None
) -> Iterator[int]:
    """Listen at the port that the block gets, and tell whoever connects *words*, then hang up.

    With *until* tell them *more* five times a second, until that is set or they have gone.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.recv(65536)
                    connection.sendall(words)
                    with suppress(OSError):
                        while until and not until.wait(0.2):
                            connection.sendall(more)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def dripping() -> Iterator[int]:
    """Listen at the port that the block gets, and tell whoever connects a head that never ends."""
    is_over = threading.Event()
    with saying(b"HTTP/1.1 200 OK\r\nX: ", more=b"x", until=is_over) as port:
        yield port
        is_over.set()


# The server ------------------------------------------------------------------------------------


def test_the_server_is_checked_without_a_daemon(look: Look, short_dir: Path) -> None:
    with LMStudio("v1", [QWEN]) as studio:
        studio.load(QWEN)
        result = look(llm_api_base=studio.url)

    assert result.names("ok") == [
        *("config", "environment", "dns", "tcp", "http", "api", "auth", "models")
    ]
    assert result.checks["models"]["message"] == "1 model, 1 loaded"
    assert result.checks["socket"]["remedy"] == f"devsynthd --socket {short_dir}/d.sock &"
    assert result.checks["generation"]["message"] == "not checked: no daemon"
    assert (result.status, result.is_ok) == (1, False)


def test_a_token_of_the_file_is_used_and_not_shown(look: Look) -> None:
    key = "sk-lm-right:0123456789"
    with LMStudio("v1", [QWEN]) as studio:
        studio.require_token(key)
        result = look(llm_api_base=studio.url, llm_api_key=key)
        refused = look(llm_api_base=studio.url)

    assert result.checks["auth"]["message"] == "the API key is accepted"
    assert key not in str(result.checks)
    assert "wants an API key" in refused.told("auth")


def test_nobody_listens(look: Look) -> None:
    port = closed_port()
    lmstudio = look(llm_api_base=f"http://localhost:{port}/v1")
    other = look(llm_api_base=f"http://127.0.0.1:{port}/v1", llm_provider="openai")

    assert f"nobody listens at 127.0.0.1:{port}" in lmstudio.told("tcp")
    assert f"nobody listens at 127.0.0.1:{port}: no server runs there" in other.told("tcp")
    assert "config set llm_api_base" in other.told("tcp")
    assert other.checks["models"]["message"] == "not checked: no connection"


def test_lm_studio_uses_another_port_by_its_own_notes(look: Look, short_dir: Path) -> None:
    notes = short_dir / ".lmstudio" / ".internal" / "http-server-config.json"
    notes.parent.mkdir(parents=True)
    with LMStudio("v1", [QWEN]) as studio:
        port = int(studio.url.rpartition(":")[2])
        notes.write_text(json.dumps({"port": port, "networkInterface": "127.0.0.1"}))
        result = look(llm_api_base=f"http://localhost:{closed_port()}/v1")

    remedy = result.checks["tcp"]["remedy"]
    assert f"something does at 127.0.0.1:{port}" in result.told("tcp")
    assert f"devsynthctl config set llm_api_base http://127.0.0.1:{port}/v1" in remedy


def test_it_listens_at_the_other_loopback_address_only(look: Look) -> None:
    with LMStudio("v1", [QWEN]) as studio:
        port = int(studio.url.rpartition(":")[2])
        result = look(llm_api_base=f"http://[::1]:{port}")

    assert f"something does at 127.0.0.1:{port}" in result.told("tcp")


def test_the_host_has_no_address(look: Look) -> None:
    """Of an interface that this machine has not: nothing is asked of the network."""
    result = look(llm_api_base="http://[fe80::1%nosuch0]:1234/v1")

    assert "has no address" in result.told("dns")
    assert "config set llm_api_base" in result.told("dns")
    assert result.checks["tcp"]["message"] == "not checked: the host is not known"


def test_a_server_whose_answer_never_comes(look: Look, short_dir: Path) -> None:
    """One says a byte after the other, each of them in time, but its head has no end.

    The other takes connections and says nothing. Each is waited for, both at once.
    """
    apart = short_dir / "silent.toml"
    with (
        dripping() as dripping_port,
        socket.create_server(("127.0.0.1", 0)) as server,
        ThreadPoolExecutor(1) as thread,
    ):
        silent_url = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        apart.write_text(toml_of({"llm_api_base": silent_url}), encoding="utf-8")
        environ = {"DEVSYNTH_CONFIG": str(apart)}
        looked = thread.submit(examined, short_dir / "d.sock", environ=environ)
        dripped = look(llm_api_base=f"http://127.0.0.1:{dripping_port}/v1", llm_connect_timeout=0.5)
        silent = looked.result()

    late = "accepted the request, but an answer did not come within 5 s"
    assert late in dripped.told("http")
    assert dripped.checks["http"]["duration_s"] < 10
    assert (silent.states["tcp"], silent.states["http"]) == ("ok", "failed")
    assert late in silent.told("http")
    assert "lms server stop" in silent.told("http")


def test_another_http_server(look: Look) -> None:
    with UpstreamServer(["a"]) as server:
        server.models_reply = html(200)
        result = look(llm_api_base=server.url, llm_provider="openai")

    assert (result.states["http"], result.states["api"]) == ("ok", "failed")
    assert "is not the API of a language model server" in result.told("api")
    assert "check port and path" in result.told("api")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "something that is not HTTP"),
        (b"", "closed the connection unexpectedly"),
    ],
)
def test_a_server_that_is_no_web_server(look: Look, words: bytes, said: str) -> None:
    with saying(words) as port:
        result = look(llm_api_base=f"http://127.0.0.1:{port}/v1")

    assert result.states["http"] == "failed"
    assert said in result.told("http")
    assert "config set llm_api_base" in result.told("http")


def test_a_certificate_of_an_unknown_authority(look: Look, tmp_path: Path) -> None:
    context, authority = self_signed(tmp_path)
    with UpstreamServer(["a"], tls=context) as server:
        result = look(llm_api_base=server.url, llm_provider="openai")
        trusted = look(llm_api_base=server.url, llm_provider="openai", llm_ca_bundle=str(authority))

    assert "its certificate is not trusted" in result.told("http")
    assert "config set llm_ca_bundle" in result.told("http")
    assert trusted.states["http"] == trusted.states["models"] == "ok"


def test_https_where_http_is_spoken(look: Look) -> None:
    """Some servers refuse what they cannot read, others wait for more of it."""
    with saying(b"HTTP/1.1 400 Bad Request\r\n\r\n") as port, UpstreamServer(["a"]) as server:
        urls = (f"http://127.0.0.1:{port}/v1", server.url)
        refusing, waiting = (
            look(
                llm_api_base=url.replace("http:", "https:"),
                llm_provider="openai",
                llm_connect_timeout=0.5,
            )
            for url in urls
        )

    assert refusing.states["http"] == waiting.states["http"] == "failed"
    assert "no secure connection" in refusing.told("http")
    assert f"config set llm_api_base {urls[0]}" in refusing.told("http")
    assert f"config set llm_api_base {urls[1]}" in waiting.told("http")


def test_a_proxy_that_is_not_there(look: Look) -> None:
    port = closed_port()
    proxy = {"HTTP_PROXY": f"http://me:planted-password@127.0.0.1:{port}", "NO_PROXY": ""}
    proxy |= {"http_proxy": proxy["HTTP_PROXY"], "no_proxy": ""}
    result = look(proxy, llm_api_base="http://gpu.example:1234/v1")

    assert result.states["environment"] == "warn"
    assert "this shell has a proxy for http://gpu.example:1234" in result.told("environment")
    assert f"the proxy at 127.0.0.1:{port}" in result.told("tcp")
    assert "export NO_PROXY=gpu.example" in result.told("tcp")
    assert "planted-password" not in str(result.checks)


def test_a_proxy_that_lets_nothing_through(look: Look) -> None:
    with saying(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n") as port:
        proxy = dict.fromkeys(("HTTPS_PROXY", "https_proxy"), f"http://127.0.0.1:{port}")
        result = look(
            proxy | {"NO_PROXY": "", "no_proxy": ""}, llm_api_base="https://gpu.example/v1"
        )

    assert result.states["tcp"] == "ok"
    assert "through the proxy" in result.told("http")
    assert "NO_PROXY=gpu.example" in result.told("http")


# The settings ----------------------------------------------------------------------------------


def test_an_invalid_file_names_its_lines(look: Look, config_file: Path) -> None:
    result = look(llm_max_tokens=0, llm_modle="x")

    assert result.states["config"] == "failed"
    assert f"{config_file}, line 2" in result.told("config")
    assert "devsynthctl config edit" in result.told("config")
    assert result.checks["dns"]["message"] == "not checked: the settings are not valid"


def test_an_invalid_variable(look: Look) -> None:
    result = look({"DEVSYNTH_LLM_TEMPERATURE": "hot"})

    assert result.states["environment"] == "failed"
    assert "DEVSYNTH_LLM_TEMPERATURE = 'hot' is not allowed" in result.told("environment")
    assert "unset" in result.told("environment")


def test_a_missing_ca_file(look: Look, tmp_path: Path) -> None:
    result = look(llm_ca_bundle=str(tmp_path / "missing.pem"))

    assert "is not a file of CA certificates" in result.told("config")


def test_a_key_that_others_can_read(look: Look, config_file: Path) -> None:
    result = look(llm_api_key="planted-key-2")
    assert result.states["config"] == "warn"
    assert f"chmod 600 {config_file}" in result.told("config")

    config_file.chmod(0o600)
    assert look(llm_api_key="planted-key-2").states["config"] == "ok"


def test_a_key_in_a_folder_with_a_blank(look: Look, short_dir: Path) -> None:
    folder = short_dir / "my files"
    folder.mkdir()
    file = folder / "config.toml"
    file.write_text(toml_of({"llm_api_key": "planted-key-2"}))
    file.chmod(0o644)
    result = look({"DEVSYNTH_CONFIG": str(file)})

    assert result.checks["config"]["remedy"] == f"chmod 600 '{file}'"


def test_the_engine_without_its_model(look: Look, tmp_path: Path) -> None:
    result = look(llm_provider="embedded", embedded_model_path=str(tmp_path / "none.gguf"))

    assert "dns" not in result.checks
    assert result.states["engine"] == "failed"
    assert "embedded_model_path" in result.told("engine")
    assert result.checks["models"]["message"] == "not checked: no engine"


def test_an_engine_that_may_stand_in_is_only_told_of(look: Look, tmp_path: Path) -> None:
    file = tmp_path / "text.gguf"
    file.write_text("not a model")
    result = look(embedded_model_path=str(file))

    assert result.states["engine"] == "warn"
    assert "engine" not in look().checks


def test_a_user_without_a_home(short_dir: Path) -> None:
    """A daemon of theirs would do without a file, so that is no mistake."""
    need_root()
    keep = (
        f"XDG_RUNTIME_DIR={short_dir}",
        f"DEVSYNTH_LLM_API_BASE=http://127.0.0.1:{closed_port()}",
    )
    command = [*as_nobody(*keep), sys.executable, "-m", "devsynthctl", "doctor", "--json"]
    process = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    result = Examined(process)

    assert result.states["config"] == "warn"
    assert result.checks["config"]["message"].startswith("this user has no home directory")
    assert result.checks["config"]["remedy"] == "set HOME, or name a file with DEVSYNTH_CONFIG"
    assert result.states["tcp"] == "failed"  # the variables are known all the same


# The socket ------------------------------------------------------------------------------------


def test_a_socket_that_a_dead_daemon_left(look: Look, short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_dir / "d.sock"))
    result = look()

    assert "has left its socket behind" in result.told("socket")
    assert "devsynthd --socket" in result.told("socket")
    assert result.checks["daemon"]["message"] == "not checked: no daemon"


def test_a_file_that_is_no_socket(look: Look, short_dir: Path) -> None:
    (short_dir / "d.sock").touch()

    assert "is not a socket" in look().told("socket")


def test_a_folder_that_others_may_write(look: Look, short_dir: Path) -> None:
    folder = short_dir / "my run"
    folder.mkdir()
    folder.chmod(0o777)
    result = look()
    spaced = examined(folder / "d.sock", "--no-generate")

    assert result.states["socket"] == "failed"
    assert spaced.checks["socket"]["remedy"] == f"chmod go-w '{folder}'"


def test_a_path_that_cannot_be(config_file: Path) -> None:
    result = examined(Path("/" + "x" * 200), "--no-generate")

    assert "a Unix socket's may have" in result.told("socket")
    assert "--socket" in result.told("socket")
    assert not config_file.exists()


def test_a_daemon_that_hangs(config_file: Path, short_dir: Path) -> None:
    """It takes the connection and the request, and says nothing."""

    def script(daemon: FakeDaemon) -> None:
        daemon.receive()
        daemon.go.wait()

    path = short_dir / "d.sock"
    with FakeDaemon(path, script):
        result = examined(path, timeout="0.3")

    assert "takes connections, but does not answer" in result.told("daemon")
    remedy = result.checks["daemon"]["remedy"]
    assert remedy == f"kill -9 {os.getpid()}; devsynthd --socket {path} &"
    assert result.states["config"] == "ok"
    assert not config_file.exists()


def test_something_that_listens_and_speaks_no_zeromq(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(short_dir / "d.sock"))
        listener.listen()
        (short_dir / "d.sock").chmod(0o600)
        result = examined(short_dir / "d.sock", timeout="0.3")

    assert "does not answer" in result.told("daemon")
    assert result.states["socket"] == "ok"


def test_a_socket_that_is_open_to_others(config_file: Path, short_dir: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        daemon.receive()
        daemon.go.wait()

    path = short_dir / "d.sock"
    with FakeDaemon(path, script):
        path.chmod(0o666)
        result = examined(path, timeout="0.3")

    assert result.states["socket"] == "warn"
    assert f"chmod 600 {path}" in result.told("socket")
    assert not config_file.exists()
