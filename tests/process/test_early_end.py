"""Signals that come before the daemon serves, and sockets that cannot be had."""

import os
import signal
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.process.conftest import asks
from tests.process.surroundings import after, with_mounts
from tests.support.daemon import DaemonProcess, daemon_process
from tests.support.upstream_replies import silence
from tests.support.upstream_server import UpstreamServer


def run_on(disk: Path, limits: str, fill: str = ":") -> Sequence[str]:
    """Return what runs a command where *disk* is a small one, with what *fill* does to it."""
    return with_mounts(f"mkdir {disk}; mount -t tmpfs -o {limits},mode=700 tmpfs {disk}; {fill}")


def test_a_full_runtime_directory_is_enough(short_dir: Path, upstream: UpstreamServer) -> None:
    disk = short_dir / "run"
    full = run_on(disk, "size=64k", f"! cat /dev/zero >{disk}/ballast 2>/dev/null")
    environ = {**asks(upstream), "DEVSYNTH_SOCKET": str(disk / "s.sock")}
    daemon = DaemonProcess(short_dir, environ=environ, within=full)
    try:
        daemon.wait_logged("listening on")
    finally:
        daemon.close()


def test_one_without_room_for_a_socket_is_told(short_dir: Path, upstream: UpstreamServer) -> None:
    disk = short_dir / "run"
    environ = {**asks(upstream), "DEVSYNTH_SOCKET": str(disk / "s.sock")}
    within = run_on(disk, "size=64k,nr_inodes=2")
    daemon = DaemonProcess(short_dir, environ=environ, within=within)
    try:
        assert daemon.wait() == 1
        assert f"cannot listen on {disk}/s.sock: No space left on device" in daemon.log()
        assert "Traceback" not in daemon.log()
    finally:
        daemon.close()


def test_the_lock_is_for_its_owner_whatever_the_umask(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with daemon_process(short_dir, environ=asks(upstream), within=after("umask 777")) as daemon:
        lock = daemon.socket.with_name("s.sock.lock")
        assert stat.S_IMODE(lock.stat().st_mode) == 0o600


def test_ctrl_c_while_it_is_being_loaded_shows_no_traceback(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    daemon = DaemonProcess(short_dir, environ={**asks(upstream), "PYTHONVERBOSE": "1"})
    try:
        daemon.wait_logged("import 'devsynthd.command'")  # it begins
        daemon.signal(signal.SIGINT)
        assert daemon.wait() in (0, -signal.SIGINT)
        assert "Traceback" not in daemon.log()
    finally:
        daemon.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_between_the_lock_and_the_socket_ends_it_in_order(
    short_dir: Path, upstream: UpstreamServer, number: signal.Signals
) -> None:
    upstream.models_reply = silence()
    daemon = DaemonProcess(short_dir, environ=asks(upstream))
    lock = daemon.socket.with_name("s.sock.lock")
    try:
        while not lock.exists() and daemon.process.poll() is None:
            os.sched_yield()
        daemon.signal(number)

        assert daemon.wait() == 0
        assert not daemon.socket.exists()
        assert lock.exists()
        assert "Traceback" not in daemon.log()
    finally:
        daemon.close()
