"""ZMTP 3.0, what ZeroMQ sockets speak, as a DEALER without security speaks it. Pure.

A greeting, a command that tells the socket's type, then a frame for each body, both ways:
https://rfc.zeromq.org/spec/23/. Of 3.1 it has nothing, above all no heartbeats, which would have
to be answered also while nobody reads.
"""

_MORE, _LONG, _COMMAND = 1, 2, 4
_OF_BODIES = (0, _LONG)
MAX_FRAME_BYTES = 2**28
"""Several times as much as a daemon ever says at once."""
_MAX_SHORT_BYTES = 255

_SIGNATURE = b"\xff" + bytes(8) + b"\x7f"
_VERSION = 3
_MECHANISM = b"NULL".ljust(20, b"\0")
_GREETING_BYTES = 64
_GREETING = (_SIGNATURE + bytes((_VERSION, 0)) + _MECHANISM).ljust(_GREETING_BYTES, b"\0")

_READY = b"\5READY"
_FROM_A_ROUTER = b"\x0bSocket-Type\0\0\0\6ROUTER"


class NotZmtp(Exception):
    """The peer speaks something else."""


def framed(body: bytes, flags: int = 0) -> bytes:
    """Return *body* as it is sent."""
    size = len(body)
    if size <= _MAX_SHORT_BYTES:
        return b"%c%c%b" % (flags, size, body)
    return b"%c%b%b" % (flags | _LONG, size.to_bytes(8), body)


def _property(name: bytes, value: bytes) -> bytes:
    return b"%c%b%b%b" % (len(name), name, len(value).to_bytes(4), value)


OPENING = _GREETING + framed(_READY + _property(b"Socket-Type", b"DEALER"), _COMMAND)
"""What is said first; the other side need not be waited for."""


class Decoder:
    """Takes the bodies out of what a peer sends, in pieces of any size.

    Attributes:
        is_made: The peer has said that it is ready.
    """

    def __init__(self) -> None:
        self.is_made = self._is_greeted = False
        self._come = bytearray()
        self._needed_bytes = 0  # with fewer there is nothing to do

    def feed(self, data: bytes) -> list[bytes]:
        """Take in *data*, at least a byte; return the bodies that are whole by now.

        Raises:
            NotZmtp: It is something else. Nothing more can be fed.
        """
        if self._come:
            self._come += data
            if len(self._come) < self._needed_bytes:
                return []
            data = bytes(self._come)
            self._come.clear()
        bodies: list[bytes] = []
        at = 0 if self._is_greeted else self._greet(data)
        size = len(data)
        while at < size:
            flags = data[at]
            start = at + (9 if flags & _LONG else 2)
            end = start + int.from_bytes(data[at + 1 : start]) if start <= size else start
            if end > size:
                if end - at > MAX_FRAME_BYTES:
                    raise NotZmtp(f"a frame of {end - start} bytes")
                self._come += data[at:]
                self._needed_bytes = end - at
                break
            if flags not in _OF_BODIES or not self.is_made:
                self._heed(flags, data[start:end])
            if not flags & _COMMAND:
                bodies.append(data[start:end])
            at = end
        return bodies

    def _greet(self, data: bytes) -> int:
        """Return where what follows the greeting begins."""
        if data[0] != _SIGNATURE[0]:
            raise NotZmtp("no greeting")
        if len(data) < _GREETING_BYTES:
            self._come += data
            self._needed_bytes = _GREETING_BYTES
            return len(data)
        if data[9] != _SIGNATURE[9] or data[10] < _VERSION or data[12:32] != _MECHANISM:
            raise NotZmtp("a greeting of another version, or with another kind of security")
        self._is_greeted = True
        return _GREETING_BYTES

    def _heed(self, flags: int, content: bytes) -> None:
        """Look at what may be more than a body; the parts of one are one each."""
        if flags & ~(_MORE | _LONG | _COMMAND):
            raise NotZmtp(f"a frame with the flags {flags:#x}")
        if flags & _COMMAND and content.startswith(_READY):
            if _FROM_A_ROUTER not in content:
                raise NotZmtp("a socket of another type than a ROUTER")
            self.is_made = True
        if not self.is_made:
            raise NotZmtp("it does not become ready")
