"""Requests as rows and lines, and what one that waits is waiting for."""

from typing import Any

import pytest

from devsynthctl.render.requests import COLUMNS, cancelled, name, row
from devsynthctl.render.waiting import stage
from devsynthd.wire.objects import Failure, RequestInfo, RequestState, Timing
from devsynthd.wire.replies import Progress

BARE: dict[str, Any] = {
    "request": 7,
    "id": "a",
    "client": None,
    "pid": None,
    "op": "generate",
    "model": None,
    "state": "queued",
    "position": None,
    "timing": None,
    "error": None,
}
TIMING = Timing(queued_s=1, waiting_s=0.5, streaming_s=0.75, total_s=2.25, tokens_per_s=None)


@pytest.mark.parametrize(
    ("fields", "column", "text"),
    [
        ({}, "request", "7"),
        ({}, "op", "generate"),
        ({}, "state", "queued"),
        ({}, "position", ""),
        ({"position": 0}, "position", "0"),
        ({}, "model", ""),
        ({"model": "q/m"}, "model", "q/m"),
        ({}, "seconds", ""),
        ({"timing": TIMING}, "seconds", "2.2"),
        ({"client": "editor/1"}, "client", "editor/1"),
        ({"pid": 99}, "pid", "99"),
    ],
)
def test_the_cells_of_a_request(fields: dict[str, Any], column: str, text: str) -> None:
    cells = row(RequestInfo(**BARE | fields))
    assert dict(zip(COLUMNS, cells, strict=True))[column] == text


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (None, "#7 generate q/m"),
        ("it is gone", "#7 generate q/m"),
        ("q/m is gone", "#7 generate"),
    ],
)
def test_a_model_that_the_error_names_is_not_named_twice(message: str | None, told: str) -> None:
    error = None if message is None else Failure("model_not_found", message)
    assert name(RequestInfo(**BARE | {"model": "q/m", "error": error})) == told


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (None, "cancelled 7 (generate)\n"),
        ("q/m", "cancelled 7 (generate, q/m)\n"),
        ("q\x1b\n", "cancelled 7 (generate, q␛ )\n"),
    ],
)
def test_what_was_cancelled_is_one_line(model: str | None, line: str) -> None:
    assert cancelled(RequestInfo(**BARE | {"model": model})) == line


@pytest.mark.parametrize(
    ("state", "position", "model", "text"),
    [
        ("queued", 3, "m", "queued: 3 before this one"),
        ("queued", 0, "m", "queued"),
        ("queued", None, "m", "queued"),
        ("loading", None, "q/m", "loading q/m"),
        ("loading", None, None, "loading the model"),
        ("waiting", None, "m", "waiting for the first token"),
        ("streaming", None, None, "waiting for the first token"),
    ],
)
def test_what_is_waited_for_is_told_in_words(
    state: RequestState, position: int | None, model: str | None, text: str
) -> None:
    told = Progress(id=1, state=state, position=position, fraction=None, request=7)
    assert stage(told, model) == text
