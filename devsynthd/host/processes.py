"""Child processes, on a machine that may have no more of them."""

import asyncio
import errno
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Sequence
from contextlib import suppress

from devsynthd.host.child_environ import child_environ


def wait_without_threads(loop: asyncio.AbstractEventLoop) -> None:
    """Have the end of each child of this process told by a descriptor, where there are such.

    Python 3.11 would start a thread for each; later ones do as is done here. *loop* is the one that
    waits for all of them.
    """
    if sys.platform == "linux" and sys.version_info < (3, 12):
        with suppress(OSError):
            os.close(os.pidfd_open(os.getpid()))  # before Linux 5.3 there are none
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(loop)
            asyncio.get_event_loop_policy().set_child_watcher(watcher)


async def start_process(
    command: Sequence[str], *, stderr: int | None = None, start_new_session: bool = False
) -> Process:
    """Start *command* with its stdin and stdout in pipes, and with no secrets in its environment.

    Raises:
        OSError: It cannot be started.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=PIPE,
            stdout=PIPE,
            stderr=stderr,
            start_new_session=start_new_session,
            env=child_environ(os.environ),
        )
    except RuntimeError as exc:
        if "thread" not in str(exc):
            raise
        # Python has ended it: there is no thread to wait for its end.
        raise OSError(errno.EAGAIN, "no thread can be started") from exc
