"""Which folders are watched, and what happens where that is not possible."""

import asyncio
import logging
from pathlib import Path

import anyio._backends._asyncio  # noqa: F401 - the second user cannot import it later
import pytest

from devsynthd.settings.watcher import folders_to_watch, watch
from tests.support.second_user import run_as_second_user


def folders(path: Path, below: Path) -> set[str]:
    """Return the watched folders of *path* that are *below* a folder, relative to it."""
    found = [folder for folder in folders_to_watch(path) if folder.is_relative_to(below)]
    return {str(folder.relative_to(below)) for folder in found}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
    return tmp_path


def test_a_plain_file_has_its_own_folder(here: Path) -> None:
    (here / "a" / "f").touch()

    assert folders(here / "a" / "f", here) == {"a"}


def test_a_missing_file_has_the_folder_in_which_it_would_be(here: Path) -> None:
    assert folders(here / "a" / "f", here) == {"a"}


def test_a_missing_folder_has_the_one_above(here: Path) -> None:
    assert folders(here / "a" / "no" / "where" / "f", here) == {"a"}


def test_each_link_on_the_way_has_its_folder(here: Path) -> None:
    (here / "c" / "f").touch()
    (here / "b" / "link").symlink_to(here / "c")
    (here / "a" / "f").symlink_to(Path("..") / "b" / "link" / "f")

    assert folders(here / "a" / "f", here) == {"a", "b", "c"}


def test_a_dangling_link_has_the_folder_in_which_its_target_would_be(here: Path) -> None:
    (here / "a" / "f").symlink_to(here / "b" / "no" / "f")

    assert folders(here / "a" / "f", here) == {"a", "b"}


def test_a_link_to_itself_comes_to_an_end(here: Path) -> None:
    (here / "a" / "f").symlink_to("f")

    assert folders(here / "a" / "f", here) == {"a"}


def test_a_folder_that_was_made_anew_is_another_one(here: Path) -> None:
    before = folders_to_watch(here / "a" / "f")
    (here / "a").rename(here / "old")
    (here / "a").mkdir()

    assert folders_to_watch(here / "a" / "f") != before


async def look_thrice(path: Path, *, tick_s: float) -> None:
    """Watch *path* until it has been looked at three times."""
    looks = 0
    enough = asyncio.Event()

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 3:
            enough.set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as tasks:
        watching = tasks.create_task(watch(path, look, tick_s=tick_s))
        await enough.wait()
        watching.cancel()


def test_it_looks_every_tick_even_if_nothing_is_told(here: Path) -> None:
    asyncio.run(look_thrice(here / "a" / "f", tick_s=0.05))


def told_while_looking(path: Path) -> list[str]:
    """Return what is logged while *path* is watched until it has been looked at three times."""
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    asyncio.run(look_thrice(path, tick_s=0.01))
    return told


def test_a_folder_that_cannot_be_watched_is_told_once_and_looked_at_every_tick(
    short_dir: Path,
) -> None:
    short_dir.chmod(0o711)  # its files can be read, but not listed, and so not watched

    (warning,) = run_as_second_user(told_while_looking, short_dir / "f")

    assert f"cannot watch {short_dir / 'f'}" in warning
    assert "looked at every 0.01 s" in warning
