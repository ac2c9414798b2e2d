"""Events to systemd's journal, with fields, by its native protocol.

Source: "Native Journal Protocol" of systemd's documentation; the fields that have a meaning there
are in systemd.journal-fields(7).
"""

import errno
import os
import re
import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

from devsynthd.host.log_event import Event
from devsynthd.host.log_formats import PRIORITIES, field_value, one_line, sentence
from devsynthd.host.patience import SEND_S, Patience

SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "devsynthd"

MAX_BYTES = 1024 * 1024
"""What an entry may take as a file; nothing that is logged comes near it."""

BUFFER_BYTES = 1024 * 1024

_CUT_BYTES = 16 * 1024
"""What is left of a value of an entry that can be sent in no other way."""

_NO_NAME = re.compile(r"[^A-Z0-9_]")
_MAX_NAME = 64


def entry(event: Event) -> list[tuple[str, str]]:
    """Return the fields of *event* in the journal, each a name and a value.

    MESSAGE stands alone: what is known of the event is in it, and the end of its traceback.
    """
    message = sentence(event)
    if event.traceback:
        message += f": {one_line(event.traceback.splitlines()[-1])}"
    fields = [
        ("MESSAGE", message),
        ("PRIORITY", str(PRIORITIES[event.level])),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("CODE_FILE", event.file),
        ("CODE_LINE", str(event.line)),
        ("CODE_FUNC", event.function),
        ("LOGGER", event.logger),
    ]
    for key, value in event.fields.items():
        name = f"DEVSYNTH_{_NO_NAME.sub('_', key.upper())}"[:_MAX_NAME]
        fields.append((name, field_value(value)))
    if event.traceback:
        fields.append(("EXCEPTION_TEXT", event.traceback))
    return fields


def encode(fields: list[tuple[str, str]], max_value_bytes: int = MAX_BYTES) -> bytes:
    """Return *fields* as the journal reads them; longer values are cut, and say so."""
    return b"".join(_encoded(name, value, max_value_bytes) for name, value in fields)


def _encoded(name: str, value: str, max_bytes: int) -> bytes:
    data = value.encode(errors="backslashreplace")
    if len(data) > max_bytes:
        whole = data[:max_bytes].decode(errors="ignore")  # no half of a character
        data = f"{whole} ... ({len(data)} bytes in all)".encode()
    if b"\n" not in data:
        return b"%s=%s\n" % (name.encode(), data)
    return b"%s\n%s%s\n" % (name.encode(), struct.pack("<Q", len(data)), data)


class Journal:
    """Sends events to the journal that listens at *path*.

    *buffer_bytes* is what may be under way: the larger, the later it has to wait.
    """

    def __init__(self, path: Path = SOCKET, *, buffer_bytes: int = BUFFER_BYTES) -> None:
        self.name = f"the journal at {path}"
        self._path, self._patience = str(path), Patience()
        # Not connected: journald may be started anew, and each datagram finds the one of now.
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        wait = struct.pack("@ll", 0, int(SEND_S * 1e6))  # struct timeval
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, wait)

    def write(self, event: Event) -> None:
        """Send *event* as one entry.

        Raises:
            BlockingIOError: Nobody reads there, for now.
            OSError: Nobody listens there.
        """
        fields = entry(event)
        data = encode(fields)
        with self._patience as may_wait:
            flags = 0 if may_wait else socket.MSG_DONTWAIT
            try:
                self._socket.sendto(data, flags, self._path)
            except OSError as exc:
                if exc.errno not in {errno.EMSGSIZE, errno.ENOBUFS}:
                    raise
                self._send_large(fields, data, flags)

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def _send_large(self, fields: list[tuple[str, str]], data: bytes, flags: int) -> None:
        """Send *data*, which fits no datagram, as a file, or cut where there are none in memory."""
        for descriptor in _sealed(data):
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("@i", descriptor))
            self._socket.sendmsg([], [rights], flags, self._path)
            return
        self._socket.sendto(encode(fields, _CUT_BYTES), flags, self._path)


def _sealed(data: bytes) -> Iterator[int]:
    """Yield a file in memory with *data* that nobody can change; none if there cannot be one."""
    if sys.platform != "linux":
        return
    import fcntl  # noqa: PLC0415 - its seals are there on Linux only

    try:
        descriptor = os.memfd_create("devsynthd-log", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    except OSError:
        return
    try:
        os.write(descriptor, data)
        seals = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, seals)
        yield descriptor
    finally:
        os.close(descriptor)
