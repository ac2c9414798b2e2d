"""Where a chat reads what is entered: a person's prompt, or lines that are piped in."""

import errno
import sys
from typing import BinaryIO, Protocol

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_BODY_BYTES


class Source(Protocol):
    """Gives one entry after the other."""

    @property
    def is_person(self) -> bool:
        """Whether somebody is there who sees an error, and can go on after it."""

    def read(self) -> str | None:
        """Return the next entry, null at the end.

        Raises:
            DevsynthError: It is no text.
        """


class Lines:
    """The lines of *stream*; null: there is none.

    Attributes:
        is_person: False.
    """

    is_person = False

    def __init__(self, stream: BinaryIO | None) -> None:
        self._stream = stream

    def read(self) -> str | None:
        """Return the next line without its end, null after the last.

        Raises:
            BadRequest: It is not UTF-8, or longer than a request may be.
        """
        line = self._line()
        if not line:
            return None
        if len(line) > MAX_BODY_BYTES:
            raise BadRequest(
                f"a line of stdin has more than {MAX_BODY_BYTES} bytes, more than a request may"
                " have",
                hint="send less",
            )
        try:
            return line.decode().rstrip("\r\n")
        except UnicodeDecodeError as exc:
            raise BadRequest(
                f"stdin is not UTF-8 text: byte {line[exc.start]:#04x}",
                hint="convert it, as with `iconv -f latin1 -t utf-8`",
            ) from exc

    def _line(self) -> bytes:
        try:
            return self._stream.readline(MAX_BODY_BYTES + 1) if self._stream else b""
        except OSError as exc:
            if exc.errno == errno.EBADF:  # open for writing only, as nohup leaves it
                return b""
            raise BadRequest(
                f"stdin cannot be read: {exc.strerror}", hint="pipe in a message a line"
            ) from exc


def piped_lines() -> Lines:
    """Return the lines of standard input."""
    return Lines(sys.stdin.buffer if sys.stdin else None)
