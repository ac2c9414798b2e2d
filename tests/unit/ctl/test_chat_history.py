"""What was entered, kept for the next time."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devsynthctl.chat.history import MAX_ENTRIES, MAX_ENTRY_CHARACTERS, History, history_path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "chat" / "history.jsonl"


def test_what_is_added_is_there_the_next_time(path: Path) -> None:
    assert History(path).entries() == []
    for entry in ("first", "two\nlines \N{SNOWMAN} \x1b[2J\u2028", '"', "/quit"):
        History(path).add(entry)
    assert History(path).entries() == [
        "first",
        "two\nlines \N{SNOWMAN} \x1b[2J\u2028",
        '"',
        "/quit",
    ]


@given(st.lists(st.text().filter(str.strip), unique=True, max_size=20))
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, entries: list[str]) -> None:
    history = History(tmp_path_factory.mktemp("any") / "history.jsonl")
    for entry in entries:
        history.add(entry)
    assert history.entries() == entries


def test_only_its_user_can_read_it(path: Path) -> None:
    History(path).add("secret")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert [each.name for each in path.parent.iterdir()] == ["history.jsonl"]


@pytest.mark.parametrize("entry", ["", " \n", "a", "x" * (MAX_ENTRY_CHARACTERS + 1)])
def test_blanks_repetitions_and_floods_are_not_kept(path: Path, entry: str) -> None:
    history = History(path)
    history.add("a")
    history.add(entry)
    assert history.entries() == ["a"]


def test_the_oldest_entries_make_room(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("".join(f'"{number}"\n' for number in range(MAX_ENTRIES + 500)))
    history = History(path)
    assert len(history.entries()) == MAX_ENTRIES
    history.add("new")
    assert history.entries() == [str(each) for each in range(501, MAX_ENTRIES + 500)] + ["new"]
    assert len(path.read_bytes().splitlines()) == MAX_ENTRIES


def test_lines_that_are_no_entries_are_skipped(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b'"a"\n{}\n7\n"half\n\xff\n""\n"b"')
    assert History(path).entries() == ["a", "b"]


def test_bytes_that_were_no_text_become_question_marks(path: Path) -> None:
    History(path).add("caf\udce9")
    assert History(path).entries() == ["caf?"]


def test_a_folder_that_cannot_be_made_is_an_error(path: Path) -> None:
    path.parent.parent.write_text("a file")
    with pytest.raises(OSError, match="chat"):
        History(path).add("a")


def test_without_a_home_nothing_is_written_to_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    history = History(Path("~/history.jsonl"))
    assert history.entries() == []
    with pytest.raises(FileNotFoundError, match="no home"):
        history.add("a")
    assert list(tmp_path.iterdir()) == []


def test_it_is_in_the_users_folder_for_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somebody")
    monkeypatch.setenv("XDG_STATE_HOME", "/somebody/state")
    path = history_path()
    assert path.is_relative_to("/somebody")
    assert path.parts[-3:] == ("devsynth", "chat", "history.jsonl")


def test_chats_at_the_same_time_do_not_lose_each_others_entries(path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from devsynthctl.chat.history import History\n"
        "for number in range(30): History(Path(sys.argv[1])).add(f'{sys.argv[2]} {number}')"
    )
    writers = [subprocess.Popen([sys.executable, "-c", script, str(path), name]) for name in "abcd"]
    assert [writer.wait(15) for writer in writers] == [0] * 4
    entries = History(path).entries()
    assert len(entries) == 120
    for name in "abcd":
        own = [entry for entry in entries if entry.startswith(name)]
        assert own == [f"{name} {number}" for number in range(30)]
