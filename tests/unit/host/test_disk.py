"""Files that are replaced whole, and what those leave behind who are killed over it."""

import os
import time
from pathlib import Path

from devsynthd.host.disk import ABANDONED_S, DISK, PREFIX


def left_behind(folder: Path, name: str, age_s: float) -> Path:
    path = folder / name
    path.write_bytes(b"half of")
    then = time.time() - age_s
    os.utime(path, (then, then))
    return path


def test_what_a_killed_writer_has_left_goes_with_the_next_change(tmp_path: Path) -> None:
    left = left_behind(tmp_path, f"{PREFIX}abandoned", ABANDONED_S + 1)
    at_work = left_behind(tmp_path, f"{PREFIX}at-work", ABANDONED_S - 30)
    somebodys = left_behind(tmp_path, "old", ABANDONED_S + 1)

    DISK.replace(tmp_path / "file", b"whole")

    assert not left.exists()
    assert sorted(tmp_path.iterdir()) == sorted([at_work, somebodys, tmp_path / "file"])


def test_a_folder_of_that_name_stays(tmp_path: Path) -> None:
    folder = tmp_path / f"{PREFIX}folder"
    folder.mkdir()
    os.utime(folder, (0, 0))

    DISK.replace(tmp_path / "file", b"whole")

    assert folder.is_dir()
