"""Who could exchange a folder: by table, with files that are there."""

import os
from pathlib import Path

import pytest

from devsynthd.host.way import trusted_owners, way_fault
from tests.support.needs import need_root
from tests.support.second_user import second_user

TRUSTED = frozenset({0, os.getuid()})


@pytest.fixture
def folder(short_dir: Path) -> Path:
    folder = short_dir / "a" / "b" / "c"
    folder.mkdir(parents=True, mode=0o755)
    return folder


def test_the_usual_way_is_nobody_elses(folder: Path) -> None:
    assert way_fault(folder, TRUSTED) is None
    assert way_fault(Path("/"), TRUSTED) is None


@pytest.mark.parametrize(
    ("mode", "fault"), [(0o777, True), (0o703, True), (0o1777, False), (0o775, False)]
)
@pytest.mark.parametrize("which", ["a", "a/b"])
def test_a_folder_on_the_way_that_everybody_may_write_to(
    short_dir: Path, folder: Path, which: str, mode: int, *, fault: bool
) -> None:
    (short_dir / which).chmod(mode)

    told = way_fault(folder, TRUSTED)

    assert (told is not None) == fault
    if told:
        assert f"everybody may write to {short_dir / which} on the way" in told
        assert f"chmod o-w {short_dir / which}" in told


def test_the_folder_itself_is_not_looked_at(folder: Path) -> None:
    folder.chmod(0o777)
    assert way_fault(folder, TRUSTED) is None


def test_a_folder_of_another_user_on_the_way(short_dir: Path, folder: Path) -> None:
    need_root()
    os.chown(short_dir / "a", second_user().pw_uid, -1)

    assert way_fault(folder, TRUSTED) == (
        f"{short_dir}/a on the way to it belongs to uid {second_user().pw_uid}"
    )
    assert way_fault(folder, TRUSTED | {second_user().pw_uid}) is None


@pytest.mark.parametrize("target", ["{}/a/b/c", "a/b/c", "a/../a/b/../../link2", "a/b/c/."])
def test_the_way_behind_a_link_is_looked_at_too(short_dir: Path, folder: Path, target: str) -> None:
    (short_dir / "link2").symlink_to("a/b/c")
    link = short_dir / "link"
    link.symlink_to(target.format(short_dir))
    assert way_fault(link, TRUSTED) is None

    folder.parent.chmod(0o777)

    assert way_fault(link, TRUSTED)


def test_a_link_of_another_user(short_dir: Path, folder: Path) -> None:
    need_root()
    link = short_dir / "link"
    link.symlink_to(folder)
    os.lchown(link, second_user().pw_uid, -1)

    assert way_fault(link, TRUSTED) == (
        f"{link} on the way to it is a symbolic link that belongs to uid {second_user().pw_uid}"
    )


def test_links_in_a_circle_are_an_error(short_dir: Path) -> None:
    (short_dir / "x").symlink_to("y")
    (short_dir / "y").symlink_to("x")

    with pytest.raises(OSError, match="symbolic links"):
        way_fault(short_dir / "x", TRUSTED)


def test_what_is_not_there_is_an_error(short_dir: Path) -> None:
    with pytest.raises(FileNotFoundError):
        way_fault(short_dir / "gone" / "d", TRUSTED)


@pytest.mark.parametrize(
    ("uid_map", "trusted"),
    [
        pytest.param("         0          0 4294967295\n", {0, 1000}, id="no sandbox"),
        pytest.param("1000 1000 1\n", {0, 1000, 65534}, id="root is not known"),
        pytest.param("0 1000 1\n1 100000 65536\n", {0, 1000}, id="nobody is somebody"),
        pytest.param("what?", {0, 1000}, id="another system"),
        pytest.param(None, {0, 1000}, id="no /proc"),
    ],
)
def test_who_may_have_folders_on_the_way(
    tmp_path: Path, uid_map: str | None, trusted: set[int]
) -> None:
    told = tmp_path / "uid_map"
    if uid_map is not None:
        told.write_text(uid_map)
    overflow = tmp_path / "overflowuid"
    overflow.write_text("65534\n")

    assert trusted_owners(1000, uid_map=told, overflow_uid=overflow) == trusted
