"""What the embedded engine's native log, and the way its process ended, tell a person. Pure."""

import re
import signal

from devsynthd.upstream.cleaning import clean

# llama.cpp writes "0.01.234.567 E function: text"; E is the level.
_PREFIX = re.compile(r"^[\d.]+ ([A-Z]) ")


class LogTail:
    """The last bytes of a log, few enough to keep for as long as the engine runs."""

    def __init__(self, max_bytes: int = 8192) -> None:
        self._max_bytes = max_bytes
        self._bytes = b""

    def feed(self, data: bytes) -> None:
        """Add *data*, and forget what is too old."""
        self._bytes = (self._bytes + data)[-self._max_bytes :]

    def clear(self) -> None:
        """Forget everything."""
        self._bytes = b""

    def reason(self) -> str:
        """Return the line that says best what went wrong, cleaned; empty if there is none.

        That is the first error: the ones after it only say that the callers failed too. What is no
        log line of llama.cpp (an assertion, a Python traceback) ends with what matters.
        """
        lines = [line for line in self._bytes.decode(errors="replace").splitlines() if line.strip()]
        errors = [line for line in lines if (level := _PREFIX.match(line)) and level[1] == "E"]
        line = errors[0] if errors else lines[-1] if lines else ""
        return clean(_PREFIX.sub("", line))


def describe_exit(status: int) -> str:
    """Return in words how a process ended: *status* as ``subprocess`` gives it."""
    if status >= 0:
        return f"exit status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time signal
        name = f"signal {-status}"
    # Nobody else sends this one unasked.
    return f"{name}, perhaps for want of memory" if name == "SIGKILL" else name
