"""The log's own file: how it rotates, who may read it, and what happens if it cannot be written."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.host.log_event import Event
from devsynthd.host.log_file import RotatingFile, is_under_launchd, log_file
from devsynthd.host.service_names import LAUNCHD_LABEL
from tests.unit.host.test_journal import event


def message(event: Event) -> str:
    return event.message


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "down" / "d.log"


@pytest.fixture
def file(path: Path) -> Iterator[RotatingFile]:
    file = RotatingFile(path, message, max_bytes=20, files=3)
    yield file
    file.close()


def contents(path: Path) -> dict[str, str]:
    return {each.name: each.read_text() for each in path.parent.iterdir()}


def test_it_rotates_and_keeps_three(file: RotatingFile, path: Path) -> None:
    for number in range(9):
        file.write(event(f"line {number} ..."))  # 11 bytes: one a file

    assert contents(path) == {
        "d.log": "line 8 ...\n",
        "d.log.1": "line 7 ...\n",
        "d.log.2": "line 6 ...\n",
    }


def test_what_fits_is_added_also_by_a_later_run(file: RotatingFile, path: Path) -> None:
    file.write(event("one"))
    later = RotatingFile(path, message, max_bytes=8)
    later.write(event("two"))
    later.write(event("six"))
    later.close()

    assert contents(path) == {"d.log": "six\n", "d.log.1": "one\ntwo\n"}


def test_a_line_longer_than_a_file_has_one_of_its_own(file: RotatingFile, path: Path) -> None:
    for text in ("a", "b" * 30, "c"):
        file.write(event(text))

    assert contents(path) == {"d.log": "c\n", "d.log.1": "b" * 30 + "\n", "d.log.2": "a\n"}


def test_only_its_user_may_read_it(file: RotatingFile, path: Path) -> None:
    before = os.umask(0)
    try:
        for _ in range(3):
            file.write(event("x" * 15))
    finally:
        os.umask(before)

    assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_one_that_is_there_becomes_private(file: RotatingFile, path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.touch(0o644)
    file.write(event("x"))

    assert path.stat().st_mode & 0o777 == 0o600


def test_one_that_is_removed_is_begun_anew(file: RotatingFile, path: Path) -> None:
    file.write(event("one"))
    path.unlink()
    file.write(event("two"))

    assert contents(path) == {"d.log": "two\n"}


@pytest.mark.parametrize("is_late", [False, True])
def test_a_link_in_its_place_is_not_followed(
    file: RotatingFile, path: Path, tmp_path: Path, *, is_late: bool
) -> None:
    precious = tmp_path / "precious"
    precious.write_text("data")
    precious.chmod(0o644)
    file.write(event("one"))
    path.unlink()
    path.symlink_to(precious)
    later = file if is_late else RotatingFile(path, message)

    with pytest.raises(OSError, match="symbolic links"):
        later.write(event("two"))

    assert precious.read_text() == "data"
    assert precious.stat().st_mode & 0o777 == 0o644


def test_a_pipe_in_its_place_is_not_waited_for(file: RotatingFile, path: Path) -> None:
    path.parent.mkdir(parents=True)
    os.mkfifo(path)

    with pytest.raises(OSError, match="No such device or address"):
        file.write(event("one"))


def test_a_full_disk_leaves_no_half_of_a_line(path: Path) -> None:
    file = RotatingFile(path, message)
    file.write(event("one"))
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            file.write(event("x" * 100))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    file.write(event("two"))
    file.close()

    assert contents(path) == {"d.log": "one\ntwo\n"}


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(OSError, match="file"):
        RotatingFile(tmp_path / "file" / "d.log", message).write(event())


def test_only_our_own_label_is_launchd() -> None:
    assert is_under_launchd({"XPC_SERVICE_NAME": LAUNCHD_LABEL})
    assert not is_under_launchd({"XPC_SERVICE_NAME": "0"})
    assert not is_under_launchd({})


def test_the_file_is_in_the_users_own_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)

    assert log_file().is_relative_to(tmp_path)
    assert log_file().name == "devsynthd.log"
