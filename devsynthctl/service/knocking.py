"""Whether a daemon that was started by hand is in the way of one that is to be a service."""

import socket
from pathlib import Path

from devsynthctl.service.errors import ServiceError

_LIMIT_S = 1.0


def refuse_other_daemon(path: Path) -> None:
    """Make sure that nobody listens at the socket *path*.

    Raises:
        ServiceError: Somebody does.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.settimeout(_LIMIT_S)
        try:
            knock.connect(str(path))
        except TimeoutError:
            pass  # the door is there, and too many wait at it
        except OSError:
            return
    pid = _holder(path)
    who = f"pid {pid}" if pid else "its pid is unknown"
    raise ServiceError(
        f"devsynthd was started by hand and runs on {path} ({who}); nothing was changed",
        hint="end it, then install the service: devsynthctl shutdown",
    )


def _holder(path: Path) -> str:
    """Return the pid that the daemon wrote into its lock; empty if that cannot be read."""
    try:
        text = path.with_name(f"{path.name}.lock").read_text("ascii").strip()
    except (OSError, ValueError):
        return ""
    return text if text.isdecimal() else ""
