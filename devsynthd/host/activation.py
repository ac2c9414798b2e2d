"""The socket that a service manager listens on for the daemon, by sd_listen_fds(3)."""

import contextlib
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from devsynthd.wire.errors import ConfigInvalid

FIRST_FD = 3  # SD_LISTEN_FDS_START
TURN_AWAY_S = 3.0


class Inherited(Struct, frozen=True):
    """A listening Unix socket that was opened for this process: its descriptor and its path."""

    fd: int
    path: Path


def inherited_socket(environ: Mapping[str, str], first_fd: int = FIRST_FD) -> Inherited | None:
    """Return the socket that was handed to this process; null if none was.

    It is kept from the processes that this one starts.

    Raises:
        ConfigInvalid: What was handed over is more than one socket, or not one to listen on.
    """
    count = environ.get("LISTEN_FDS", "")
    if environ.get("LISTEN_PID", "") != str(os.getpid()) or count in ("", "0"):
        return None
    if count != "1":
        raise ConfigInvalid(
            f"the service manager hands over {count} sockets, and the daemon serves one",
            hint="leave one ListenStream= in devsynthd.socket; an empty one clears those before it",
        )
    try:
        given = socket.socket(fileno=first_fd)
    except OSError as exc:
        raise _useless(exc.strerror or str(exc)) from exc
    try:
        if given.family != socket.AF_UNIX or given.type != socket.SOCK_STREAM:
            raise _useless("it is no stream socket of the Unix family")
        if not given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            raise _useless("it does not listen")
        name = given.getsockname()
        if not isinstance(name, str) or not name.startswith("/"):
            raise _useless("it has no path")
        os.set_inheritable(first_fd, False)  # noqa: FBT003 - its only argument
        return Inherited(first_fd, Path(name))
    finally:
        given.detach()  # whoever listens on it closes it


def turn_away(inherited: Inherited, for_s: float = TURN_AWAY_S) -> None:
    """Close the connections that wait at a socket which nobody will serve in this run.

    As long as any waits, the service manager would start the daemon again at once. If one does,
    those that come in the next *for_s* seconds are closed too: clients ask again and again.
    """
    with contextlib.suppress(OSError):  # TimeoutError, for one: nobody waits any more
        door = socket.socket(fileno=os.dup(inherited.fd))
        with door:
            door.settimeout(0)
            door.accept()[0].close()
            until = time.monotonic() + for_s
            while (left_s := until - time.monotonic()) > 0:
                door.settimeout(left_s)
                door.accept()[0].close()


def _useless(reason: str) -> ConfigInvalid:
    return ConfigInvalid(
        f"the socket that the service manager hands over cannot be used: {reason}",
        hint="devsynthd.socket needs one ListenStream= with an absolute path",
    )
