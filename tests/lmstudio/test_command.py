"""The command line: started as a person starts it."""

import contextlib
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from tests.lmstudio import paths
from tests.lmstudio.asking import TOKEN, chat_body
from tests.support.upstream_exchange import WAIT_S

COMMAND = [sys.executable, "-m", "tests.lmstudio"]


@contextlib.contextmanager
def _running(*options: str) -> Iterator[str]:
    """Yield the address of a simulator that is ended as by Ctrl-C afterwards."""
    command = [*COMMAND, "--port", "0", "--load-seconds", "0", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.send_signal(signal.SIGINT)
            status = process.wait(WAIT_S)
    assert status == 0


def _ask(method: str, url: str, body: object = None, token: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"}
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url, json=body, headers=headers, timeout=WAIT_S)


def test_by_default_it_is_the_newest_and_repeats_the_question() -> None:
    with _running("--tokens-per-second", "1000") as url:
        models = _ask("GET", url + paths.MODELS_V1).json()["models"]
        body = chat_body(models[0]["key"], "good morning")
        answer = _ask("POST", url + paths.CHAT, body).json()

    assert len(models) == 4
    assert answer["choices"][0]["message"]["content"] == "You said: good morning"


def test_its_options_reach_the_server() -> None:
    options = ["--models", "a/x", "a/y", "--loaded", "a/x", "--no-jit", "--auth", TOKEN]
    with _running(*options, "--say", "all is well", "--tokens-per-second", "1000") as url:
        refused = _ask("GET", url + paths.MODELS)
        listed = _ask("GET", url + paths.MODELS, token=TOKEN).json()["data"]
        answer = _ask("POST", url + paths.CHAT, chat_body("a/x"), token=TOKEN).json()

    assert refused.status_code == 401
    assert [entry["id"] for entry in listed] == ["a/x"]
    assert answer["choices"][0]["message"]["content"] == "all is well"


def test_it_can_be_an_older_one() -> None:
    with _running("--generation", "v0") as url:
        native = _ask("GET", url + paths.MODELS_V1).json()
        older = _ask("GET", url + paths.MODELS_V0).json()

    assert "error" in native
    assert "data" in older


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--generation", "v0", "--auth", "x"], "since 0.4.0"),
        (["--loaded", "nobody", "--port", "0"], "--loaded nobody: no such model"),
        (["--tokens-per-second", "0"], "0 is not more than 0"),
    ],
)
def test_bad_options_are_explained(options: list[str], complaint: str) -> None:
    ended = subprocess.run(
        [*COMMAND, *options], capture_output=True, text=True, timeout=WAIT_S, check=False
    )

    assert ended.returncode == 2
    assert complaint in ended.stderr


def test_a_port_that_is_taken_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = subprocess.run(
            [*COMMAND, "--port", port], capture_output=True, text=True, timeout=WAIT_S, check=False
        )

    assert ended.returncode == 2
    assert f"port {port}: " in ended.stderr
