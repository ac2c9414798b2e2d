"""Cuts the bytes of an event stream into events."""

from collections.abc import Iterator
from typing import NamedTuple

MAX_LINE_BYTES = 2**20
MAX_EVENT_BYTES = 2**20

_BOM = b"\xef\xbb\xbf"


class LineTooLong(ValueError):
    """A line of the stream, or an event of many lines, is longer than any answer needs."""


class Event(NamedTuple):
    """One event; *name* is empty unless the stream names it."""

    name: bytes
    data: bytes


class EventParser:
    """Turns the bytes of an event stream, cut anywhere, into events.

    Source: WHATWG HTML, "Server-sent events". One thing is added: a line ``error: ...`` counts as
    an event of that name, since llama.cpp once wrote its errors so.
    """

    def __init__(
        self, *, max_line_bytes: int = MAX_LINE_BYTES, max_event_bytes: int = MAX_EVENT_BYTES
    ) -> None:
        self._max_line_bytes, self._max_event_bytes = max_line_bytes, max_event_bytes
        self._parts: list[bytes] = []  # of the line whose end has not come yet
        self._part_bytes = 0
        self._at_start = True
        self._after_cr = False
        self._name = b""
        self._data: list[bytes] = []
        self._event_bytes = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Yield the events that *data* completes, to be taken before more is fed.

        Raises:
            LineTooLong: A line is longer than *max_line_bytes*, or the data of an event than
                *max_event_bytes*; nothing can be fed after it.
        """
        if self._after_cr and data:
            self._after_cr = False
            if data.startswith(b"\n"):  # the second half of CR LF
                data = data[1:]
        self._parts.append(data)
        self._part_bytes += len(data)
        if b"\n" not in data and b"\r" not in data:
            self._check(self._part_bytes)
            return
        self._after_cr = data.endswith(b"\r")
        lines = b"".join(self._parts).splitlines()
        rest = b"" if data.endswith((b"\n", b"\r")) else lines.pop()
        self._parts, self._part_bytes = [rest], len(rest)
        for line in lines:
            self._check(len(line))
            yield from self._events(line)
        self._check(self._part_bytes)

    def _events(self, line: bytes) -> Iterator[Event]:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if not line:
            if self._data:
                yield Event(self._name, b"\n".join(self._data))
            self._name, self._data, self._event_bytes = b"", [], 0
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._event_bytes += len(line)  # its name too: that is what an empty one takes
            if self._event_bytes > self._max_event_bytes:
                raise LineTooLong(f"an event of more than {self._max_event_bytes} bytes")
            self._data.append(value)
        elif field == b"event":
            self._name = value
        elif field == b"error":
            yield Event(field, value)

    def _check(self, line_bytes: int) -> None:
        if line_bytes > self._max_line_bytes:
            raise LineTooLong(f"a line of more than {self._max_line_bytes} bytes")
