"""The child process that runs llama.cpp: started, fed and watched by devsynthd.upstream.engine.

It reads one JSON line, ``Order``, from stdin, loads the model, serves it over HTTP on a loopback
port, and writes one JSON line, ``Listening``, to stdout. llama.cpp logs to stderr. The process
ends when its stdin does, so it never outlives its parent, however that one dies.

Exit status: ``os.EX_UNAVAILABLE`` if the engine is not installed, 1 if it cannot serve the model,
and then stderr says why. When stdin ends the status means nothing: nobody asks for it.

It imports nothing of this project: it is run by its path, whatever the working directory.
"""

import ctypes
import fcntl
import os
import select
import signal
import sys
from typing import Any

import msgspec

HOST = "127.0.0.1"

PARALLEL_SLOTS = 2
"""Generations at once. They share one context, so a lone request may use the whole of it."""

LOG_WARNINGS = 2
"""llama.cpp's verbosity: errors and warnings, not a line or more a request."""


class Order(msgspec.Struct, frozen=True):
    """What to serve. *context_length* in tokens; *threads* 0: as many as there are cores."""

    model_path: str
    alias: str
    context_length: int
    threads: int
    api_key: str

    def __repr__(self) -> str:  # without the key
        return f"Order({self.model_path} as {self.alias})"


class Listening(msgspec.Struct, frozen=True):
    """The model is loaded, and the HTTP server answers on *port* of 127.0.0.1."""

    port: int


def main() -> int:
    """Serve the model that stdin asks for until stdin ends; return the exit status."""
    # Ctrl-C, and a service manager's SIGTERM to the whole group, are for the daemon: it drains
    # first, and its generations need this process for that.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    # On a crash ggml would attach a debugger to print a backtrace, and hang if it cannot.
    os.environ["GGML_NO_BACKTRACE"] = "1"
    stdin_fd, report_fd = sys.stdin.fileno(), take_stdout()
    order = msgspec.json.decode(sys.stdin.buffer.readline(), type=Order)
    exit_when_closed(stdin_fd)
    try:
        import xllamacpp  # noqa: PLC0415 - optional, and from here on this process may be ended
    except ModuleNotFoundError:
        return os.EX_UNAVAILABLE
    try:
        server = xllamacpp.Server(server_params(xllamacpp.CommonParams(), order))
    except RuntimeError:  # it says no more than that; the reason is in the log
        return 1
    port = int(server.listening_address.rpartition(":")[2])
    os.write(report_fd, msgspec.json.encode(Listening(port)) + b"\n")
    os.read(stdin_fd, 1)
    # Generations under way have no reader any more: do not wait for the server to join them.
    os._exit(0)


def take_stdout() -> int:
    """Keep stdout for the report and return its descriptor; what others print goes to stderr."""
    report_fd = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return report_fd


def exit_when_closed(fd: int) -> None:
    """End the process at the moment when the other end of *fd* is closed.

    The engine holds the interpreter's lock while it loads a model, for minutes perhaps, and no
    Python thread could notice in that time. A signal needs no lock: the kernel sends SIGIO when the
    pipe ends, and its handler is C's own ``_exit``. (The default action would do on Linux, but
    macOS ignores the signal.)
    """
    libc = ctypes.CDLL(None)
    libc["signal"](int(signal.SIGIO), libc["_exit"])
    fcntl.fcntl(fd, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(fd, fcntl.F_SETFL, fcntl.fcntl(fd, fcntl.F_GETFL) | os.O_ASYNC)
    if select.select([fd], [], [], 0)[0]:  # it ended before the signal was asked for
        os._exit(0)


def server_params(params: Any, order: Order) -> Any:  # noqa: ANN401 - xllamacpp ships no types
    """Return *params*, an ``xllamacpp.CommonParams``, filled in for *order*."""
    params.model.path = order.model_path
    params.model_alias = {order.alias}
    params.n_ctx = order.context_length
    params.n_parallel = PARALLEL_SLOTS
    params.kv_unified = True
    if order.threads:  # else the engine counts the cores itself
        params.cpuparams.n_threads = order.threads
        params.cpuparams_batch.n_threads = order.threads
    params.hostnames, params.port = [HOST], 0
    params.api_keys = [order.api_key]
    params.endpoint_metrics = True
    params.endpoint_slots = params.ui = False
    params.offline = True  # never fetch anything, whatever the model's file may name
    # The slots keep their last prompt in any case; llama.cpp's further store takes up to 8 GiB.
    params.cache_ram_mib, params.cache_idle_slots = 0, False
    params.verbosity = LOG_WARNINGS
    return params


if __name__ == "__main__":
    sys.exit(main())
