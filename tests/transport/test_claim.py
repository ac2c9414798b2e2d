"""Who may listen where: private directories, one daemon a path, and nobody pushed aside."""

import asyncio
import contextlib
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, cast

import pytest

from devsynthd.transport.claim import Claim, ClaimRefused
from tests.support.needs import need_root
from tests.support.second_user import run_as_second_user, second_user
from tests.transport.listening import listening

LISTENER = """
import socket, sys
with socket.socket(socket.AF_UNIX) as listener:
    listener.bind(sys.argv[1])
    listener.listen(int(sys.argv[2]))
    print("ready", flush=True)
    sys.stdin.read()
"""

HOLDER = """
import sys
from pathlib import Path
from devsynthd.transport.claim import Claim
with Claim(Path(sys.argv[1])):
    print("ready", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def path(short_dir: Path) -> Path:
    return short_dir / "d" / "s"


@contextlib.contextmanager
def running(program: str, *arguments: object) -> Iterator["subprocess.Popen[str]"]:
    """Run *program*, which has said that it is ready when the block begins."""
    with subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert cast("IO[str]", process.stdout).readline() == "ready\n"
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    previous = os.umask(mask)
    try:
        yield
    finally:
        os.umask(previous)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def is_socket(path: Path) -> bool:
    return path.is_socket()


def refusal(path: Path) -> str:
    with pytest.raises(ClaimRefused) as caught:
        Claim(path)
    return str(caught.value)


# Modes and owners ------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0, 0o022, 0o077], ids=oct)
def test_directory_socket_and_lock_are_for_this_user_only(path: Path, mask: int) -> None:
    async def modes() -> tuple[int, int, int]:
        with Claim(path) as claim:
            async with listening(path, claim=claim):
                return mode(path.parent), mode(path), mode(path.with_name("s.lock"))

    with umask(mask):
        assert asyncio.run(modes()) == (0o700, 0o600, 0o600)


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@pytest.mark.parametrize("opened", ["nothing", "the directory", "the socket"])
def test_each_of_the_two_modes_keeps_another_user_out(
    short_dir: Path, path: Path, opened: str
) -> None:
    def open_up() -> None:
        short_dir.chmod(0o755)
        if opened == "the directory":
            path.parent.chmod(0o755)
        if opened == "the socket":
            path.chmod(0o666)

    async def scenario() -> None:
        with Claim(path) as claim:
            async with listening(path, claim=claim):
                open_up()
                with pytest.raises(PermissionError):
                    await asyncio.to_thread(run_as_second_user, connect, path)

    asyncio.run(scenario())


@pytest.mark.parametrize("allowed", [0o770, 0o707, 0o777, 0o722])
def test_a_directory_that_others_may_write_is_refused(path: Path, allowed: int) -> None:
    path.parent.mkdir()
    path.parent.chmod(allowed)

    told = refusal(path)

    assert f"mode {allowed:04o}" in told
    assert f"chmod go-w {path.parent}" in told
    assert list(path.parent.iterdir()) == []


def test_nobody_is_told_to_close_a_directory_that_is_open_to_all_on_purpose(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o1777)

    told = refusal(path)

    assert "mode 1777" in told
    assert "chmod" not in told
    assert "--socket" in told


def test_a_directory_of_somebody_else_is_refused(path: Path) -> None:
    need_root()
    path.parent.mkdir(mode=0o700)
    os.chown(path.parent, second_user().pw_uid, -1)

    told = refusal(path)

    assert f"{path.parent} belongs to uid {second_user().pw_uid}" in told
    assert "--socket" in told


def claim_is_refused(path: Path) -> str:
    try:
        Claim(path)
    except ClaimRefused as exc:
        return str(exc)
    return "it was not refused"


def test_a_second_user_cannot_claim_in_our_directory(short_dir: Path, path: Path) -> None:
    short_dir.chmod(0o755)
    path.parent.mkdir(mode=0o755)

    told = run_as_second_user(claim_is_refused, path)

    assert f"belongs to uid {os.getuid()}, not to you" in told


def test_a_directory_that_cannot_be_made_is_refused(short_dir: Path) -> None:
    (short_dir / "file").touch()

    told = refusal(short_dir / "file" / "d" / "s")

    assert f"cannot make the socket's directory {short_dir}/file/d: Not a directory" in told


# The lock --------------------------------------------------------------------------------------


def test_a_path_is_claimed_by_one_process_at_a_time(path: Path) -> None:
    with running(HOLDER, path) as holder:
        told = refusal(path)
        assert f"devsynthd already runs on {path} (pid {holder.pid})" in told
        assert "devsynthctl shutdown" in told

        holder.kill()
        holder.wait()
        with Claim(path):
            assert f"(pid {os.getpid()})" in refusal(path)


def test_the_lock_file_stays_and_the_socket_goes(path: Path) -> None:
    lock = path.with_name("s.lock")

    async def scenario() -> None:
        with Claim(path) as claim:
            async with listening(path, claim=claim):
                assert is_socket(path)

    asyncio.run(scenario())
    inode = lock.stat().st_ino
    assert not path.exists()
    asyncio.run(scenario())
    assert not path.exists()
    assert lock.stat().st_ino == inode


def test_a_lock_that_leads_elsewhere_is_refused(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    precious = path.with_name("precious")
    precious.write_text("data")
    path.with_name("s.lock").symlink_to(precious)

    assert f"cannot open the lock {path}.lock" in refusal(path)
    assert precious.read_text() == "data"


@pytest.mark.parametrize("kind", ["second name", "pipe", "file of another"])
def test_a_lock_that_is_another_file_is_refused(path: Path, kind: str) -> None:
    path.parent.mkdir(mode=0o700)
    precious, lock = path.with_name("precious"), path.with_name("s.lock")
    precious.write_text("data")
    match kind:
        case "second name":
            lock.hardlink_to(precious)
        case "pipe":
            os.mkfifo(lock)
        case _:
            need_root()
            precious.rename(lock)
            os.chown(lock, second_user().pw_uid, -1)

    assert f"the lock {lock} is another file" in refusal(path)
    if kind == "file of another":
        assert lock.read_text() == "data"
    else:
        assert precious.read_text() == "data"


# What is on the path already -------------------------------------------------------------------


def test_the_socket_of_a_dead_process_is_replaced(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    with running(LISTENER, path, 1) as listener:
        listener.kill()
        listener.wait()
    assert path.is_socket()

    with Claim(path):
        assert not path.exists()


def test_a_socket_that_somebody_listens_on_is_never_taken(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    with running(LISTENER, path, 1) as listener:
        inode = path.stat().st_ino

        told = refusal(path)

        assert re.search(rf"\(pid {listener.pid}\) listens on {path};", told)
        assert path.stat().st_ino == inode
        connect(path)


def test_a_listener_too_busy_to_accept_is_not_taken_for_dead(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    with running(LISTENER, path, 0), socket.socket(socket.AF_UNIX) as first:
        first.connect(str(path))  # nobody accepts it, and there is no room for another

        told = refusal(path)

        assert f"something holds {path} and does not answer" in told
        assert path.is_socket()


def test_a_refusal_lets_the_lock_go(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    with running(LISTENER, path, 8):
        refusal(path)
        assert "listens on" in refusal(path)


@pytest.mark.parametrize("kind", ["file", "directory", "link to nowhere"])
def test_what_is_no_socket_is_left_alone(path: Path, kind: str) -> None:
    path.parent.mkdir(mode=0o700)
    match kind:
        case "file":
            path.write_text("data")
        case "directory":
            path.mkdir()
        case _:
            path.symlink_to("nowhere")
    before = path.lstat()

    assert f"{path} exists and is not a socket; choose another" in refusal(path)
    assert path.lstat() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]  # no lock beside it


def test_a_socket_that_somebody_else_put_there_meanwhile_stays(path: Path) -> None:
    def replace(other: socket.socket) -> None:
        path.unlink()
        other.bind(str(path))

    async def scenario() -> None:
        with Claim(path) as claim, socket.socket(socket.AF_UNIX) as other:
            async with listening(path, claim=claim):
                replace(other)

    asyncio.run(scenario())
    assert path.is_socket()


def test_the_lock_goes_after_the_socket_file(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    claim = Claim(path)
    with claim.listen():
        there_when_unlocked = []
        close = os.close

        def closing(fd: int) -> None:
            there_when_unlocked.append(path.exists())
            close(fd)

        monkeypatch.setattr(os, "close", closing)
        claim.release()
    assert there_when_unlocked == [False, False]  # the lock, then the directory
