"""The log file is shown from its end, over its rotations."""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devsynthctl.service.errors import ServiceError
from devsynthctl.service.following import show_file


class Enough(Exception):
    """What ends the following, as Ctrl-C does."""


def shown(path: Path, lines: int, *, steps: list[Callable[[], object]] | None = None) -> list[str]:
    """Return what is written: *steps* are what happens whenever nothing is left to be read."""
    written: list[str] = []
    left: Iterator[Callable[[], object]] = iter(steps or [])

    def sleep(_seconds: float) -> None:
        step = next(left, None)
        if step is None:
            raise Enough
        step()

    with suppress(Enough):
        show_file(path, written.append, lines=lines, follow=steps is not None, sleep=sleep)
    return written


def numbered(*numbers: int) -> str:
    return "".join(f"{number}\n" for number in numbers)


@pytest.mark.parametrize(
    ("lines", "first"), [(0, 7), (1, 6), (2, 5), (3, 4), (5, 2), (6, 1), (99, 1)]
)
def test_the_last_lines_may_be_in_older_files(tmp_path: Path, lines: int, first: int) -> None:
    path = tmp_path / "log"
    for name, numbers in (("log.2", (1, 2)), ("log.1", (3, 4)), ("log", (5, 6))):
        (tmp_path / name).write_text(numbered(*numbers))

    assert "".join(shown(path, lines)) == numbered(*range(first, 7))


def test_what_comes_is_shown_as_whole_lines_over_a_rotation(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(numbered(1))

    def append(text: str) -> Callable[[], object]:
        def step() -> None:
            with path.open("a") as file:
                file.write(text)

        return step

    def rotate() -> None:
        append("4\n")()  # the last one before, which nobody has read yet
        path.rename(tmp_path / "log.1")

    steps = [append("2\n3"), append("\n"), rotate, append("5\n")]
    assert shown(path, 1, steps=steps) == ["1\n", "2\n", "3\n", "4\n", "5\n"]


def test_bytes_that_are_no_text_are_shown_as_escapes(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b"\xff\n")
    assert shown(tmp_path / "log", 1) == ["\\xff\n"]


def test_a_log_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ServiceError, match="there is no log at"):
        shown(tmp_path / "log", 1)
