"""Which inherited descriptors are a socket to serve."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from devsynthd.host.activation import Inherited, inherited_socket, turn_away
from devsynthd.wire.errors import ConfigInvalid
from tests.support.service_manager import listening_for_a_daemon

OURS = {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}


@pytest.fixture
def listener(short_dir: Path) -> Iterator[socket.socket]:
    with listening_for_a_daemon(short_dir / "s") as listener:
        yield listener


def test_a_listening_socket_is_taken_and_kept_from_children(
    listener: socket.socket, short_dir: Path
) -> None:
    fd = listener.fileno()
    os.set_inheritable(fd, True)  # noqa: FBT003 - its only argument

    assert inherited_socket(OURS, first_fd=fd) == Inherited(fd, short_dir / "s")
    assert not os.get_inheritable(fd)


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"LISTEN_FDS": "1"},
        {"LISTEN_FDS": "1", "LISTEN_PID": "1"},
        {**OURS, "LISTEN_FDS": "0"},
        {**OURS, "LISTEN_FDS": ""},
    ],
)
def test_what_is_meant_for_another_process_is_left_alone(environ: dict[str, str]) -> None:
    assert inherited_socket(environ) is None


def test_two_sockets_are_refused() -> None:
    with pytest.raises(ConfigInvalid, match="hands over 2 sockets"):
        inherited_socket({**OURS, "LISTEN_FDS": "2"})


def test_what_is_not_a_socket_is_refused(short_dir: Path) -> None:
    with (
        (short_dir / "file").open("wb") as file,
        pytest.raises(ConfigInvalid, match="non-socket"),
    ):
        inherited_socket(OURS, first_fd=file.fileno())


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_socket_of_another_kind_is_refused(kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as given:
        with pytest.raises(ConfigInvalid, match="no stream socket of the Unix family"):
            inherited_socket(OURS, first_fd=given.fileno())
        assert given.getsockname(), "it is left open"


def test_one_that_does_not_listen_is_refused(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(str(short_dir / "s"))
        with pytest.raises(ConfigInvalid, match="does not listen"):
            inherited_socket(OURS, first_fd=given.fileno())


def test_one_without_a_path_is_refused() -> None:
    with socket.socket(socket.AF_UNIX) as given:
        given.bind(f"\0devsynthd-test-{os.getpid()}")
        given.listen()
        with pytest.raises(ConfigInvalid, match="has no path"):
            inherited_socket(OURS, first_fd=given.fileno())


def test_who_waits_at_a_socket_that_will_not_be_served_is_hung_up_on(
    listener: socket.socket, short_dir: Path
) -> None:
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(path)
        second.connect(path)

        turn_away(Inherited(listener.fileno(), short_dir / "s"), for_s=0.1)

        assert (first.recv(1), second.recv(1)) == (b"", b"")


def test_who_comes_in_the_next_seconds_is_hung_up_on_too(
    listener: socket.socket, short_dir: Path
) -> None:
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        first.connect(path)
        inherited = Inherited(listener.fileno(), short_dir / "s")
        turning = threading.Thread(target=turn_away, args=(inherited, 1.0))
        turning.start()
        assert first.recv(1) == b""
        second.connect(path)
        assert second.recv(1) == b""
        turning.join()


def test_where_nobody_waits_nothing_is_waited_for(listener: socket.socket, short_dir: Path) -> None:
    begun = time.monotonic()
    turn_away(Inherited(listener.fileno(), short_dir / "s"), for_s=10.0)
    assert time.monotonic() - begun < 5.0
