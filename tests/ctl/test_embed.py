"""``embed``: texts in, vectors out."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from devsynthctl import Client
from devsynthd.wire.errors import NoModel
from tests.ctl.conftest import Run
from tests.support.fake_daemon import FakeDaemon

VECTORS: dict[str, Any] = {
    "model": "nomic",
    "embeddings": [[0.5, -1.25], [1e-7, 3]],
    "usage": {"prompt_tokens": 2, "completion_tokens": 0, "total_tokens": 2},
    "warnings": [{"code": "other_model", "message": "nomic answered"}],
}


def serve(daemon: FakeDaemon) -> None:
    daemon.serve({"embed": VECTORS})


def test_each_vector_is_a_line_of_json(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serve) as daemon:
        process = run("embed", "one text", "-5", "-m", "nomic", stdin="not read")
        request = daemon.seen.get()
    assert [json.loads(line) for line in process.stdout.splitlines()] == VECTORS["embeddings"]
    assert process.stderr == "devsynthctl: warning: nomic answered\n"
    assert (request["input"], request["model"]) == (["one text", "-5"], "nomic")


def test_as_json_it_is_the_whole_result(run: Run, socket_path: Path) -> None:
    with FakeDaemon(socket_path, serve):
        process = run("embed", "x", "--json")
    assert (json.loads(process.stdout), process.stderr) == (VECTORS, "")


def test_stdin_is_one_text(run: Run, socket_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEVSYNTH_LLM_MODEL", "chat-model")
    with FakeDaemon(socket_path, serve) as daemon:
        assert run("embed", stdin="line 1\nline 2\n").returncode == 0
        request = daemon.seen.get()
    assert (request["input"], request["model"]) == (["line 1\nline 2"], None)


@pytest.mark.parametrize("args", [[], [""], ["a", ""]])
def test_nothing_is_not_embedded(run: Run, args: list[str]) -> None:
    process = run("embed", *args)
    assert (process.returncode, process.stdout) == (2, "")
    assert "there is nothing to embed" in process.stderr


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([os.fsdecode(b"\xff")], "is not UTF-8 text"),
        (["x", "-m", os.fsdecode(b"\xff")], "is not UTF-8 text"),
        (["--modle", "x"], "no such option: --modle"),
    ],
)
def test_what_is_no_text_is_refused(run: Run, args: list[str], told: str) -> None:
    process = run("embed", *args)
    assert (process.returncode, process.stdout) == (2, "")
    assert told in process.stderr


def test_a_program_gets_the_vectors_as_numbers(socket_path: Path) -> None:
    def script(daemon: FakeDaemon) -> None:
        for _ in range(2):
            daemon.result(daemon.receive(), VECTORS)
        daemon.error(daemon.receive(), "no_model")

    with FakeDaemon(socket_path, script) as daemon, Client(socket_path) as client:
        assert client.embed(("a", "b"), "nomic").embeddings[0] == (0.5, -1.25)
        assert client.embed("text", timeout=5).model == "nomic"
        with pytest.raises(NoModel):
            client.embed(["x"])
        several, one, _ = (daemon.seen.get() for _ in range(3))
    assert (several["input"], several["model"], several["timeout"]) == (["a", "b"], "nomic", None)
    assert (one["input"], one["model"]) == ("text", None)
    assert one["timeout"] <= 5
