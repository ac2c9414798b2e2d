"""Another user of the machine is refused by file modes, so tests can assert that it is."""

import os
import socket
from pathlib import Path

import pytest

from tests.support.second_user import run_as_second_user, second_user

pytestmark = pytest.mark.timeout(30)  # each starts an interpreter of its own


def connect(path: Path) -> int:
    """Connect to the socket at *path*; return who did."""
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    return os.geteuid()


@pytest.mark.parametrize(
    ("folder_mode", "socket_mode"),
    [
        pytest.param(0o700, 0o600, id="both are closed"),
        pytest.param(0o700, 0o666, id="the folder is closed"),
        pytest.param(0o755, 0o600, id="the socket is closed"),
    ],
)
def test_second_user_is_refused(short_dir: Path, folder_mode: int, socket_mode: int) -> None:
    path = short_dir / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(socket_mode)
        short_dir.chmod(folder_mode)

        with pytest.raises(PermissionError):
            run_as_second_user(connect, path)


def test_second_user_gets_in_where_all_is_open(short_dir: Path) -> None:
    path = short_dir / "sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        path.chmod(0o666)
        short_dir.chmod(0o755)

        assert run_as_second_user(connect, path) == second_user().pw_uid
