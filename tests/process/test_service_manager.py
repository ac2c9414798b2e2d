"""What the daemon tells its service manager, and how it serves a socket that it was handed."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import zmq

from devsynthctl import Client
from tests.process.conftest import Run, asks
from tests.support.daemon import DaemonProcess, daemon_process, environ_of
from tests.support.service_manager import listening_for_a_daemon, service_manager
from tests.support.upstream_replies import silence
from tests.support.upstream_server import UpstreamServer


def test_it_is_ready_when_it_answers_and_says_how_it_does(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with service_manager(short_dir) as manager:
        daemon = DaemonProcess(short_dir, environ={**asks(upstream), **manager.environ})
        try:
            manager.wait_for("READY=1")
            with Client(daemon.endpoint) as client:
                assert client.ping().pid == daemon.process.pid
            if not any(" 1 model, " in said for said in manager.heard):
                manager.wait_for(
                    f"STATUS=the OpenAI-compatible server at {upstream.url}: 1 model, "
                )
            upstream.stop()
            with Client(daemon.endpoint) as client:
                client.list(refresh=True)
            assert "connection refused; no model answers" in manager.wait_for("STATUS=")
        finally:
            daemon.close()


def test_reloading_is_told_from_its_begin_to_its_end(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with (
        service_manager(short_dir) as manager,
        daemon_process(short_dir, environ={**asks(upstream), **manager.environ}) as daemon,
    ):
        manager.wait_for("READY=1")  # it answers a little earlier
        daemon.signal(signal.SIGHUP)
        manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
        manager.wait_for("READY=1")

        (short_dir / "config.toml").write_text("[llm]\nmax_tokens = many\n")
        assert daemon.ctl("reload").returncode == 78
        manager.wait_for("RELOADING=1\nMONOTONIC_USEC=")
        manager.wait_for("READY=1")


def test_readiness_is_withdrawn_before_what_runs_has_ended(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    upstream.script.append(silence())
    grace = {"daemon_shutdown_grace": "40"}
    with (
        service_manager(short_dir) as manager,
        daemon_process(short_dir, environ={**asks(upstream, **grace), **manager.environ}) as daemon,
        daemon.start_ctl("generate", "hello"),
    ):
        upstream.wait_generation()
        daemon.signal(signal.SIGTERM)
        assert manager.wait_for("STOPPING=1") == "STOPPING=1\nEXTEND_TIMEOUT_USEC=55000000"
        assert daemon.process.poll() is None


def test_the_watchdog_is_fed_as_long_as_the_socket_answers(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    with service_manager(short_dir) as manager:
        environ = {**asks(upstream), **manager.environ, "WATCHDOG_USEC": "100000"}
        with daemon_process(short_dir, environ=environ) as daemon:
            for _ in range(3):
                manager.wait_for("WATCHDOG=1")
            with Client(daemon.endpoint) as client:
                requests = client.status().totals.requests
            assert requests == 2, "its own are not counted"


def test_a_stolen_socket_ends_it_with_an_error(short_dir: Path, upstream: UpstreamServer) -> None:
    with service_manager(short_dir) as manager:
        environ = {**asks(upstream), **manager.environ, "WATCHDOG_USEC": "300000"}
        with (
            daemon_process(short_dir, environ=environ) as daemon,
            zmq.Context() as context,
            context.socket(zmq.ROUTER) as thief,
        ):
            thief.linger = 0
            thief.bind(daemon.endpoint)
            thief.send_multipart(thief.recv_multipart())  # an echo, as no daemon has it
            assert daemon.wait() == 1
            assert "clients no longer reach this daemon: another process answers" in daemon.log()
            assert daemon.socket.is_socket(), "the socket file is the thief's now"
        assert "another process answers" in manager.wait_for("STATUS=another")


def test_it_is_not_ready_where_another_process_answers(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    path = short_dir / "s.sock"
    with (
        service_manager(short_dir) as manager,
        listening_for_a_daemon(path) as listener,
        zmq.Context() as context,
        context.socket(zmq.ROUTER) as thief,
    ):
        path.unlink()
        thief.linger = 0
        thief.bind(f"ipc://{path}")
        daemon = DaemonProcess(
            short_dir, environ={**asks(upstream), **manager.environ}, listener=listener
        )
        thief.send_multipart(thief.recv_multipart())  # an echo, as no daemon has it
        assert daemon.wait() == 1
        daemon.close()
        assert "another process answers" in manager.wait_for("STATUS=another")
        assert "READY=1" not in manager.heard


def test_a_socket_file_that_was_removed_is_made_anew(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    path = short_dir / "s.sock"
    with listening_for_a_daemon(path) as listener:
        path.unlink()
        with daemon_process(short_dir, environ=asks(upstream), listener=listener) as daemon:
            assert daemon.ctl("models", "-q").stdout == "m\n"
            assert "s.sock, which the service manager listens on, was removed" in daemon.log()


def test_an_invalid_config_is_78_also_where_it_cannot_be_told(short_dir: Path) -> None:
    (short_dir / "config.toml").write_text("[llm]\nmax_tokens = many\n")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "devsynthd"],
            env=environ_of(short_dir),
            stderr=full,
            timeout=15,
            check=False,
        )
    assert done.returncode == 78


def test_an_inherited_socket_is_served_and_outlives_it(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    path = short_dir / "s.sock"
    with listening_for_a_daemon(path) as listener:
        for _ in range(2):
            with daemon_process(short_dir, environ=asks(upstream), listener=listener) as daemon:
                assert daemon.ctl("models", "-q").stdout == "m\n"
                daemon.signal(signal.SIGTERM)
                assert daemon.wait() == 0, daemon.log()
            assert path.is_socket()


def test_who_asked_before_it_ran_is_answered(short_dir: Path, upstream: UpstreamServer) -> None:
    with listening_for_a_daemon(short_dir / "s.sock") as listener:
        starting = DaemonProcess(short_dir, environ=asks(upstream), listener=listener)
        try:
            assert starting.ctl("models", "-q").stdout == "m\n"
        finally:
            starting.close()


def test_a_second_daemon_is_kept_off_an_inherited_socket(
    short_dir: Path, upstream: UpstreamServer, devsynthd: Run
) -> None:
    with (
        listening_for_a_daemon(short_dir / "s.sock") as listener,
        daemon_process(short_dir, environ=asks(upstream), listener=listener) as daemon,
    ):
        second = devsynthd()
        assert second.returncode == 1
        assert (
            f"devsynthd already runs on {daemon.socket} (pid {daemon.process.pid})" in second.stderr
        )


def test_the_manager_decides_where_unless_the_daemon_is_told_otherwise(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    elsewhere = short_dir / "other.sock"
    with listening_for_a_daemon(elsewhere) as listener:
        told = DaemonProcess(short_dir, environ=asks(upstream), listener=listener)
        assert told.wait() == 78
        assert f"the service manager listens on {elsewhere}" in told.log()
        told.close()

        environ = {**asks(upstream), "DEVSYNTH_SOCKET": ""}
        untold = DaemonProcess(short_dir, environ=environ, listener=listener)
        try:
            untold.wait_logged(f"listening on {elsewhere}")
        finally:
            untold.close()


def test_a_config_that_is_not_valid_leaves_nobody_waiting(
    short_dir: Path, upstream: UpstreamServer
) -> None:
    (short_dir / "config.toml").write_text("[llm]\nmax_tokens = many\n")
    with (
        service_manager(short_dir) as manager,
        listening_for_a_daemon(short_dir / "s.sock") as listener,
        socket.socket(socket.AF_UNIX) as early,
    ):
        early.connect(str(short_dir / "s.sock"))
        waiting = DaemonProcess(
            short_dir, environ={**asks(upstream), **manager.environ}, listener=listener
        )
        assert waiting.wait() == 78
        early.settimeout(15)
        assert early.recv(100) == b"", "it is hung up on"
        assert "config.toml" in manager.wait_for("STATUS=")
        waiting.close()


def test_what_it_starts_does_not_get_the_socket(short_dir: Path, upstream: UpstreamServer) -> None:
    with (
        listening_for_a_daemon(short_dir / "s.sock") as listener,
        daemon_process(short_dir, environ=asks(upstream), listener=listener) as daemon,
    ):
        flags = Path(f"/proc/{daemon.process.pid}/fdinfo/3").read_text()
        (line,) = [line for line in flags.splitlines() if line.startswith("flags:")]
        assert int(line.split()[1], 8) & os.O_CLOEXEC
