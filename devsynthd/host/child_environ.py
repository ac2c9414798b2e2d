"""What child processes are told of the daemon's environment. Pure."""

import re
from collections.abc import Mapping

_SECRET = re.compile(r"(?i)key|token|secret|pass|credential|auth|_proxy$|_pat$")
_NOT_THEIRS = ("DEVSYNTH_", "LISTEN_", "NOTIFY_", "WATCHDOG_")


def child_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* without what may be a secret, and what is meant for the daemon alone.

    Its children compute; they talk to nobody but the daemon, which tells them all they need.
    """
    return {
        name: value
        for name, value in environ.items()
        if not (_SECRET.search(name) or name.startswith(_NOT_THEIRS))
    }
