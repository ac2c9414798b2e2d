"""Whether a daemon that is silent still lives. Pure."""

from enum import Enum, auto

from devsynthd.wire.codec import Encoding, encode
from devsynthd.wire.requests import Ping

ASK_AFTER_S = 5.0
"""How much silence is taken for work: then the daemon is sent a ping, which it answers at once."""

GIVE_UP_AFTER_S = 15.0
"""How much silence is taken for the end of a daemon that is stuck or stopped."""

MOST_S = 1.0
"""What a single wait counts at most: it was the program itself that was stopped, else."""

_ID = "devsynthctl: are you there?"


class Pulse(Enum):
    """What follows from a silence."""

    FINE = auto()
    ASK = auto()
    GONE = auto()


class Liveness:
    """Adds up how long nothing has come while somebody waited."""

    def __init__(self) -> None:
        self._silence_s = 0.0
        self._has_asked = False

    def heard(self) -> None:
        """Note that something has come."""
        self._silence_s, self._has_asked = 0.0, False

    def waited(self, seconds: float) -> Pulse:
        """Note that nothing came for so long, and return what follows."""
        self._silence_s += min(seconds, MOST_S)
        if self._silence_s >= GIVE_UP_AFTER_S:
            return Pulse.GONE
        if self._silence_s >= ASK_AFTER_S and not self._has_asked:
            self._has_asked = True
            return Pulse.ASK
        return Pulse.FINE


def question(client_name: str, encoding: Encoding = Encoding.MSGPACK) -> bytes:
    """Return the request that a living daemon answers; nobody reads what it says."""
    return encode(Ping(id=_ID, client=client_name), encoding)
