"""The screen of ``models --watch``, for every size of a terminal."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw
from rich.console import Console

from devsynthctl.errors import ConnectionLost
from devsynthctl.render.watched import screen
from devsynthctl.watching.models import Listed
from devsynthd.wire.results import Models
from tests.support.replies import model, models


def shown(count: int, width: int, height: int, *, gone: str | None = None) -> list[str]:
    listing = models(*(model(f"owner/model-{number}-of-many") for number in range(count)))
    known = msgspec.convert(listing, Models)
    listed = Listed(Raw(), known, ConnectionLost(gone) if gone else None)
    console = Console(width=width, color_system=None)
    with console.capture() as capture:
        console.print(screen(listed, width, height))
    return capture.get().splitlines()


@given(st.integers(0, 50), st.integers(12, 120), st.integers(2, 60), st.booleans())
def test_it_fits(
    count: int,
    width: int,
    height: int,
    is_gone: bool,  # noqa: FBT001 - hypothesis passes it so
) -> None:
    found = shown(count, width, height, gone="it went away" if is_gone else None)
    assert len(found) <= height
    assert all(len(line) <= width for line in found)


@given(st.integers(2, 50), st.integers(12, 120), st.integers(4, 60))
def test_there_is_a_model_and_those_without_room_are_counted(
    count: int, width: int, height: int
) -> None:
    found = [line.strip() for line in shown(count, width, height)]
    rows = [line for line in found if line.startswith("own")]
    assert rows
    if len(rows) < count:
        assert any(line.startswith(f"and {count - len(rows)} mo") for line in found)


@pytest.mark.parametrize(
    ("height", "lines"),
    [
        (9, ["lmstudio", "model:", "", "id", "owner", "and", "", "q:"]),
        (7, ["lmstudio", "model:", "", "id", "owner", "and", "q:"]),
        (6, ["lmstudio", "model:", "id", "owner", "and", "q:"]),
        (5, ["lmstudio", "model:", "id", "owner", "and"]),
        (4, ["lmstudio", "id", "owner", "and"]),
        (3, ["id", "owner", "and"]),
    ],
)
def test_what_gives_way_first_tells_least(height: int, lines: list[str]) -> None:
    found = [line.strip() for line in shown(20, 80, height)]
    kept = [line for line in found if not line.startswith("owner/model-1-")]
    assert [line[: len(each)] for line, each in zip(kept, lines, strict=True)] == lines


def test_that_there_is_no_daemon_does_not_give_way() -> None:
    assert shown(20, 80, 3, gone="it went away")[0].startswith("no daemon: it went away")
