"""The engine never outlives its parent, whatever either of them is doing when the parent dies."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import pytest
import requests

from tests.engine.processes import needs_pidfd, watched

pytestmark = [pytest.mark.timeout(60), needs_pidfd]

HERE = Path(__file__).parent


@contextmanager
def parent_of_engine(
    model: Path, *, engines: Path | None = None
) -> Iterator["subprocess.Popen[str]"]:
    """Start a parent, and with it the engine in the folder *engines* if that is given."""
    folders = [str(HERE.parent.parent), *([str(engines)] if engines else [])]
    with subprocess.Popen(
        [sys.executable, str(HERE / "parent.py"), str(model)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(folders)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            yield parent
        finally:
            parent.kill()


def engine_of(parent: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Return pid, address and key of the engine, once it answers."""
    pid, url, api_key = cast("IO[str]", parent.stdout).readline().split()
    return int(pid), url, api_key


def test_ends_when_its_parent_is_killed(weights: Path) -> None:
    with parent_of_engine(weights) as parent:
        pid, _, _ = engine_of(parent)
        with watched(pid) as ended:
            parent.kill()

            assert ended()


def test_ends_when_its_parent_is_killed_while_it_generates(weights: Path) -> None:
    with parent_of_engine(weights) as parent:
        pid, url, api_key = engine_of(parent)
        with (
            watched(pid) as ended,
            requests.post(
                f"{url}/completions",
                headers={"Authorization": f"Bearer {api_key}"},
                json={"prompt": "Once", "max_tokens": 500, "ignore_eos": True, "stream": True},
                stream=True,
                timeout=30,
            ) as answer,
        ):
            assert answer.raw.readline().startswith(b"data:")
            parent.kill()

            assert ended()


def test_ends_when_its_parent_is_killed_while_it_loads_a_model(tmp_path: Path) -> None:
    """No Python thread of the engine's process runs in this time, so none can notice."""
    model = tmp_path / "model"
    os.mkfifo(model)
    with parent_of_engine(model, engines=HERE / "engines" / "holds_the_lock") as parent:
        pid = int(model.read_text(encoding="utf-8"))
        with watched(pid) as ended:
            parent.kill()

            assert ended()
