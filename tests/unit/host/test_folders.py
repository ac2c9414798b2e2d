import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devsynthd.host.folders import FolderFault, folder_fault, make_private_folder


@contextmanager
def umask(mask: int) -> Iterator[None]:
    previous = os.umask(mask)
    try:
        yield
    finally:
        os.umask(previous)


@pytest.mark.parametrize("mask", [0, 0o022, 0o277, 0o777], ids=oct)
def test_every_folder_on_the_way_is_private(tmp_path: Path, mask: int) -> None:
    folder = tmp_path / "a" / "b" / "c"
    with umask(mask):
        make_private_folder(folder)

    modes = [each.stat().st_mode & 0o777 for each in (folder, folder.parent, folder.parent.parent)]
    assert modes == [0o700] * 3


def test_folders_that_are_there_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(mode=0o755)
    (tmp_path / "shared").chmod(0o755)

    make_private_folder(tmp_path / "shared" / "own")
    make_private_folder(tmp_path / "shared")

    assert (tmp_path / "shared").stat().st_mode & 0o777 == 0o755


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError):
        make_private_folder(tmp_path / "file" / "folder")


@pytest.mark.parametrize(
    ("owner", "mode", "fault"),
    [
        (1000, 0o40700, None),
        (1000, 0o40755, None),
        (1000, 0o40720, "open"),
        (1000, 0o40702, "open"),
        (1000, 0o41777, "shared"),
        (0, 0o40700, "foreign"),
        (0, 0o41777, "foreign"),
    ],
)
def test_what_is_wrong_with_the_folder_of_a_socket(
    owner: int, mode: int, fault: FolderFault | None
) -> None:
    assert folder_fault(owner, mode, 1000) == fault
