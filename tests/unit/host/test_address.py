import os
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from devsynthd.host.address import MAX_PATH_BYTES, Address, socket_address
from devsynthd.wire.errors import ConfigInvalid

PROJECT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, short_dir: Path) -> Path:
    """Return a home directory of this test's own, and make it the current one."""
    monkeypatch.setenv("HOME", str(short_dir))
    monkeypatch.chdir(short_dir)
    return short_dir


def test_the_flag_wins_over_the_variable_and_that_over_the_default() -> None:
    environ = {"DEVSYNTH_SOCKET": "/env.sock", "XDG_RUNTIME_DIR": "/run/me"}

    assert socket_address("/flag.sock", environ).path == Path("/flag.sock")
    assert socket_address(None, environ).path == Path("/env.sock")
    assert socket_address(None, environ | {"DEVSYNTH_SOCKET": ""}) == Address(
        path=Path("/run/me/devsynth/devsynthd.sock"),
        endpoint="ipc:///run/me/devsynth/devsynthd.sock",
    )


@pytest.mark.parametrize(
    ("given", "path"),
    [
        ("ipc:///s/x.sock", "/s/x.sock"),
        ("/s/x.sock", "/s/x.sock"),
        ("ipc://x.sock", "HOME/x.sock"),
        ("x.sock", "HOME/x.sock"),
        ("./@x", "HOME/@x"),
        ("ipc://~/x.sock", "HOME/x.sock"),
        ("~/x.sock", "HOME/x.sock"),
        ("tcp:5555", "HOME/tcp:5555"),
    ],
)
def test_every_spelling_becomes_an_absolute_path(home: Path, given: str, path: str) -> None:
    address = socket_address(given, {})

    assert str(address.path) == path.replace("HOME", str(home))
    assert address.endpoint == f"ipc://{address.path}"
    assert socket_address(None, {"DEVSYNTH_SOCKET": given}) == address


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ("", "names no path", "ipc://PATH"),
        ("ipc://", "names no path", "ipc://PATH"),
        ("ipc://@x", "abstract socket", "./@"),
        ("@x", "abstract socket", "./@"),
        ("tcp://127.0.0.1:5555", "TCP port", "ssh -L LOCAL.sock:REMOTE.sock HOST"),
        ("TCP://*:5555", "TCP port", "ssh -L"),
        ("inproc://x", "Unix socket only", "ipc://PATH"),
        ("http://localhost", "Unix socket only", "ipc://PATH"),
        ("/s/\udcff.sock", "not UTF-8", "another one"),
    ],
)
def test_what_is_no_path_is_refused_with_a_way_out(given: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigInvalid, match=message) as caught:
        socket_address(given, {})

    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("flag", "environ", "where"),
    [
        ("tcp://h:1", {}, "--socket = 'tcp://h:1'"),
        (None, {"DEVSYNTH_SOCKET": "tcp://h:1"}, "DEVSYNTH_SOCKET = 'tcp://h:1'"),
    ],
)
def test_a_refusal_names_where_it_was_set(
    flag: str | None, environ: dict[str, str], where: str
) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        socket_address(flag, environ)

    assert str(caught.value).startswith(f"{where} is not allowed")


def test_the_longest_path_can_be_bound_and_a_longer_one_is_refused(home: Path) -> None:
    room = MAX_PATH_BYTES - len(os.fsencode(home)) - 1

    address = socket_address("ü" * (room // 2) + "x" * (room % 2), {})
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.bind(address.endpoint)
        assert address.path.is_socket()

    with pytest.raises(ConfigInvalid) as caught:
        socket_address("x" * (room + 1), {})
    assert f"has {MAX_PATH_BYTES + 1} bytes" in str(caught.value)
    assert f"may have {MAX_PATH_BYTES}" in str(caught.value)


def test_a_default_that_is_too_long_is_refused_too() -> None:
    with pytest.raises(ConfigInvalid, match="bytes"):
        socket_address(None, {"XDG_RUNTIME_DIR": "/" + "x" * 100})


def test_the_address_costs_the_client_no_settings() -> None:
    code = "import sys, devsynthd.host.address; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True
    )

    loaded = set(done.stdout.split())
    assert not loaded & {"platformdirs", "tomllib", "devsynthd.settings", "zmq", "logging"}
