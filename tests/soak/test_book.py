"""The soak's own knowledge of the config file: what it takes for a breach."""

from collections.abc import Callable
from pathlib import Path

import pytest

from devsynthd.wire.requests import Value
from tests.soak.book import Book, State

VALUES: dict[str, Value] = {"llm_model": "m", "llm_max_tokens": 1, "daemon_poll_interval": 2}


@pytest.fixture
def book(tmp_path: Path) -> Book:
    return Book(tmp_path / "config.toml", {**VALUES})


def written(book: Book, old: str, new: str) -> None:
    book.path.write_text(book.path.read_text("utf-8").replace(old, new), "utf-8")


def test_what_is_asked_for_may_be_there_and_what_is_acknowledged_must(book: Book) -> None:
    with book.asked_to_set("llm_model", "n"):
        assert book.problems() == []
        assert book.acknowledged("llm_model", "n") == ["llm_model: expected 'n', found 'm'"]
        written(book, '"m"', '"n"')
        assert book.problems() == []


def test_what_was_lost_on_the_way_may_be_there_until_somebody_edits(book: Book) -> None:
    with book.asked_to_set("llm_max_tokens", 7):
        pass
    assert book.problems() == []
    written(book, "max_tokens = 1", "max_tokens = 7")
    assert book.problems() == []

    with book.alone():
        text = book.text({"llm_model": "n"})
        book.path.write_text(text, "utf-8")
        book.edited({"llm_model": "n"})

    assert "max_tokens = 7" in text
    written(book, "max_tokens = 7", "max_tokens = 1")
    assert book.problems() == ["llm_max_tokens: expected 7, found 1"]


def test_what_is_refused_must_not_be_there(book: Book) -> None:
    with book.asked_to_set("llm_max_tokens", 7):
        book.refused("llm_max_tokens")
    written(book, "max_tokens = 1", "max_tokens = 7")
    assert book.problems() == ["llm_max_tokens: expected 1, found 7"]


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda text: text[:-5], "its end is missing"),
        (lambda text: text[: text.index("=") + 1], "it is no TOML"),
        (lambda _: "", "its end is missing"),
    ],
    ids=["cut", "cut in a line", "empty"],
)
def test_half_a_file_is_noticed(book: Book, spoil: Callable[[str], str], problem: str) -> None:
    book.path.write_text(spoil(book.path.read_text("utf-8")), "utf-8")

    assert book.problems()[0].startswith(problem)


def test_a_mistake_and_a_deleted_file_stay_as_they_are_left(book: Book) -> None:
    book.state, book.broken_text = State.BROKEN, "max_tokens ="
    assert book.problems()[0].startswith("a mistake was overwritten")
    book.path.write_text("max_tokens =", "utf-8")
    assert book.problems() == []

    book.state = State.AWAY
    assert book.problems() == ["it is there again"]
