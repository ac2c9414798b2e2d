"""What a command shows to a person at a terminal."""

import os
import subprocess
from collections.abc import Mapping, Sequence

LIMIT_S = 15.0


def shown_on_terminal(command: Sequence[str], environ: Mapping[str, str]) -> tuple[int, str]:
    """Run *command* with a terminal as its stdout; return its exit status and what it wrote there.

    The terminal is 200 columns wide, and ends lines with CR LF as terminals do.
    """
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        with os.fdopen(theirs, "wb") as terminal:
            process = subprocess.Popen(
                command,
                env={**environ, "TERM": "xterm", "COLUMNS": "200"},
                stdin=subprocess.DEVNULL,
                stdout=terminal,
                stderr=subprocess.DEVNULL,
            )
        shown = b""
        try:
            while data := screen.read(4096):
                shown += data
        except OSError:  # what Linux says when the other side is closed
            pass
        return process.wait(LIMIT_S), shown.decode()
