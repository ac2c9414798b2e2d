"""A directory that another one takes the place of, between the look at it and the bind."""

import contextlib
import ctypes
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.transport.claim import Claim, ClaimRefused
from tests.support.needs import need_root
from tests.support.second_user import second_user

LIMIT_S = 15.0


@contextlib.contextmanager
def exchanging(path: Path, other: Path) -> Iterator[None]:
    """Exchange what is at *path* and *other*, again and again."""
    over = threading.Event()
    renameat2, here, exchange = ctypes.CDLL(None).renameat2, -100, 2  # AT_FDCWD, RENAME_EXCHANGE

    def exchange_them() -> None:
        while not over.is_set():
            assert renameat2(here, bytes(path), here, bytes(other), exchange) == 0

    thread = threading.Thread(target=exchange_them)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux exchanges two files in one step")
def test_nobody_listens_where_another_directory_was_put(short_dir: Path) -> None:
    need_root()
    path, theirs, link = short_dir / "d" / "s", short_dir / "theirs", short_dir / "link"
    ours_fd, theirs_fd = opened(path.parent), opened(theirs)
    os.chown(theirs, second_user().pw_uid, -1)
    link.symlink_to(theirs)
    seen: set[str] = set()
    give_up_at = time.monotonic() + LIMIT_S
    with exchanging(path.parent, link):
        while not {"it listens", "refused after the bind"} <= seen:
            assert time.monotonic() < give_up_at, f"only {seen}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink("s", dir_fd=theirs_fd)
            try:
                claim = Claim(path)
            except ClaimRefused:
                continue
            with claim:
                seen.add(listening(claim, ours_fd))
    os.close(ours_fd)
    os.close(theirs_fd)


def opened(directory: Path) -> int:
    directory.mkdir(mode=0o700)
    return os.open(directory, os.O_RDONLY)


def listening(claim: Claim, ours_fd: int) -> str:
    """Have *claim* listen; return how that went."""
    try:
        listener = claim.listen()
    except ClaimRefused:
        return "refused after the bind"
    with listener, socket.socket(socket.AF_UNIX) as client:
        client.connect(f"/proc/self/fd/{ours_fd}/s")
    return "it listens"


def test_the_refusal_tells_what_has_happened(short_dir: Path) -> None:
    path = short_dir / "d" / "s"
    with Claim(path) as claim:
        path.parent.rename(short_dir / "away")
        path.parent.mkdir()

        with pytest.raises(ClaimRefused, match="another directory was put in the place of") as told:
            claim.listen()

    assert str(path.parent) in str(told.value)
    assert path.is_socket(), "it is not ours to remove"
