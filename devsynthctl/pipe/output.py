"""Writes to a descriptor, whatever others have made of it."""

import os
import select

from devsynthctl.render.text import escaped


class Output:
    """Writes lines of JSON at once; for a terminal, without characters that it would obey."""

    def __init__(self, fd: int, *, on_terminal: bool) -> None:
        self._fd, self._on_terminal = fd, on_terminal

    def write(self, lines: bytes) -> None:
        """Write all of *lines*, however long that takes.

        Not by a file object: it would try to write what is left of them when Python ends.

        Raises:
            OSError: It cannot be written to.
        """
        if self._on_terminal:
            lines = escaped(lines.decode()).encode()
        left = memoryview(lines)
        while left:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:  # somebody who shares it has set it so
                select.select((), (self._fd,), ())
