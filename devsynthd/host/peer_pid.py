"""Whose process is at the other end of a Unix socket."""

import socket
import struct
import sys

_CREDENTIALS = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


def peer_pid(connected: socket.socket) -> int | None:
    """Return the pid of the peer of *connected*; null where that cannot be told, as on macOS.

    Of a listening socket it is who has called listen(2), so it may be a service manager.

    Raises:
        OSError: It is not connected.
    """
    if sys.platform != "linux":
        return None
    told = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    pid: int = _CREDENTIALS.unpack(told)[0]
    return pid or None
