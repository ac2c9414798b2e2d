"""What somebody else put where the daemon keeps its socket, lock, cache and log."""

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.process.conftest import Run, asks
from tests.support.daemon import daemon_process
from tests.support.needs import need_root
from tests.support.second_user import second_user
from tests.support.upstream_server import UpstreamServer

PRECIOUS = "data\n"


@pytest.fixture
def folder(short_dir: Path) -> Path:
    """The directory of the socket, in one of its own: private, and ours."""
    folder = short_dir / "way" / "d"
    folder.mkdir(mode=0o700, parents=True)
    return folder


@pytest.fixture
def precious(short_dir: Path) -> Path:
    """A file of ours that nothing may write to."""
    precious = short_dir / "precious"
    precious.write_text(PRECIOUS)
    return precious


def give_away(path: Path) -> None:
    """Let *path* be another user's."""
    need_root()
    os.lchown(path, second_user().pw_uid, second_user().pw_gid)


# The directory ---------------------------------------------------------------------------------


def link_to_foreign(folder: Path) -> None:
    theirs = folder.parent / "theirs"
    folder.rename(theirs)
    give_away(theirs)
    folder.symlink_to(theirs)


def foreign_link(folder: Path) -> None:
    folder.rename(folder.parent / "elsewhere")
    folder.symlink_to(folder.parent / "elsewhere")
    give_away(folder)


def open_parent(folder: Path) -> None:
    folder.parent.chmod(0o777)


def foreign_parent(folder: Path) -> None:
    give_away(folder.parent)


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (link_to_foreign, "/way/d belongs to uid {uid}, not to you"),
        (foreign_link, "/way/d on the way to it is a symbolic link that belongs to uid {uid}"),
        (open_parent, "everybody may write to {short_dir}/way on the way to it"),
        (foreign_parent, "{short_dir}/way on the way to it belongs to uid {uid}"),
    ],
)
def test_a_directory_that_is_not_ours_alone_is_refused(
    short_dir: Path, folder: Path, devsynthd: Run, plant: Callable[[Path], None], told: str
) -> None:
    plant(folder)

    outcome = devsynthd("--socket", str(folder / "s"))

    assert outcome.returncode == 1
    assert told.format(uid=second_user().pw_uid, short_dir=short_dir) in outcome.stderr
    assert "choose another with --socket" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    assert [path.name for path in short_dir.rglob("s*") if path.is_socket()] == []


def test_a_link_of_ours_to_a_directory_of_ours_will_do(
    short_dir: Path, folder: Path, upstream: UpstreamServer
) -> None:
    link = short_dir / "link"
    link.symlink_to("way/d")
    environ = {**asks(upstream), "DEVSYNTH_SOCKET": str(link / "s")}
    with daemon_process(short_dir, environ=environ) as daemon:
        assert (folder / "s").is_socket()
        assert daemon.ctl("ping").returncode == 0


def test_a_parent_for_everybody_with_the_sticky_bit_will_do(
    folder: Path, short_dir: Path, upstream: UpstreamServer
) -> None:
    folder.parent.chmod(0o1777)
    environ = {**asks(upstream), "DEVSYNTH_SOCKET": str(folder / "s")}
    with daemon_process(short_dir, environ=environ) as daemon:
        assert daemon.ctl("ping").returncode == 0


# The socket and its lock -----------------------------------------------------------------------


@contextlib.contextmanager
def at_the_socket(kind: str, path: Path, precious: Path) -> Iterator[None]:
    with contextlib.ExitStack() as exits:
        match kind:
            case "link":
                path.symlink_to(precious)
            case "link to a socket":
                listener = exits.enter_context(socket.socket(socket.AF_UNIX))
                listener.bind(f"{path}.there")
                path.symlink_to(f"{path}.there")
            case _:
                listener = exits.enter_context(socket.socket(socket.AF_UNIX))
                listener.bind(str(path))
                listener.listen()
                give_away(path)
        yield


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("link", "exists and is not a socket; choose another"),
        ("link to a socket", "exists and is not a socket; choose another"),
        ("socket of another", "listens on"),
    ],
)
def test_what_is_at_the_path_already_is_neither_used_nor_removed(
    folder: Path, precious: Path, devsynthd: Run, kind: str, told: str
) -> None:
    path = folder / "s"
    with at_the_socket(kind, path, precious):
        before = path.lstat()

        outcome = devsynthd("--socket", str(path))

        assert outcome.returncode == 1
        assert told in outcome.stderr
        assert os.path.samestat(path.lstat(), before)
    assert precious.read_text() == PRECIOUS


def test_a_lock_that_is_another_file_is_refused(
    folder: Path, precious: Path, devsynthd: Run
) -> None:
    lock = folder / "s.lock"
    lock.hardlink_to(precious)

    outcome = devsynthd("--socket", str(folder / "s"))

    assert outcome.returncode == 1
    assert f"the lock {lock} is another file" in outcome.stderr
    assert precious.read_text() == PRECIOUS


# What it writes besides ------------------------------------------------------------------------


def test_a_link_in_the_place_of_the_cache_file_is_replaced_not_followed(
    short_dir: Path, precious: Path, upstream: UpstreamServer
) -> None:
    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.wait_logged("is reachable")
        daemon.ctl("shutdown")
        assert daemon.wait() == 0
    (cache,) = (short_dir / "cache" / "devsynth").iterdir()
    cache.unlink()
    cache.symlink_to(precious)

    with daemon_process(short_dir, environ=asks(upstream)) as daemon:
        daemon.wait_logged("is reachable")
        daemon.ctl("shutdown")
        assert daemon.wait() == 0

    assert precious.read_text() == PRECIOUS
    assert cache.is_file()
    assert not cache.is_symlink()
