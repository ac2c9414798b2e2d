"""Events to standard error, which may be a terminal, a pipe that nobody reads, or closed."""

import io
import os
import select
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from devsynthd.host.log_event import Event
from devsynthd.host.patience import SEND_S, Patience


class Stream:
    """Writes events to *stream*, in the form that *show* gives them. Never blocks for long."""

    name = "standard error"

    def __init__(self, stream: TextIO, show: Callable[[Event], str]) -> None:
        self._stream, self._show = stream, show
        self._patience = Patience()
        self._torn = False  # the last line has no end

    def write(self, event: Event) -> None:
        """Write *event*.

        Raises:
            BlockingIOError: Nobody reads there, for now.
            OSError: It cannot be written to, or is closed.
        """
        line = f"{self._show(event)}\n"
        if self._stream.closed:
            raise OSError("it is closed")
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:  # no file, as in tests
            self._stream.write(line)
            return
        encoding = self._stream.encoding or "utf-8"
        data = line.encode(encoding, "backslashreplace")
        with self._patience as may_wait:
            self._write(descriptor, data, SEND_S if may_wait else 0)

    def close(self) -> None:
        """Leave the stream as it is: it is the process's own."""

    def _write(self, descriptor: int, data: bytes, wait_s: float) -> None:
        poll = select.poll()
        poll.register(descriptor, select.POLLOUT)
        with suppress(ValueError, OSError):
            self._stream.flush()  # what others have printed comes first
        left = memoryview(b"\n" + data if self._torn else data)
        begun = False
        while left:
            # Where it says that it takes something, so many bytes do not block.
            if not poll.poll(wait_s * 1000):
                self._torn = self._torn or begun
                raise BlockingIOError("nobody reads it")
            left = left[os.write(descriptor, left[: select.PIPE_BUF]) :]
            begun = True
        self._torn = False
