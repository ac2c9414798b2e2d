"""Processes that the benchmark starts beside the daemon, and that end with it."""

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

END_S = 10.0


@contextlib.contextmanager
def child(module: str, *arguments: str) -> Iterator[str]:
    """Run a *module* of this package until the end of the block; yield its first line."""
    command = [sys.executable, "-m", f"tests.bench.{module}", *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            first = process.stdout.readline().strip()
            assert first, f"{module} has ended with status {process.wait(END_S)}"
            yield first
        finally:
            process.stdin.close()
            process.wait(END_S)


def end_with_parent() -> None:
    """Have this process end when its standard input does: also if the parent was killed."""

    def watch() -> None:
        sys.stdin.read()
        os._exit(0)

    threading.Thread(target=watch, name="parent", daemon=True).start()
