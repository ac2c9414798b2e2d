"""Speaks what was recorded once more, to a daemon of today."""

from collections.abc import Mapping
from typing import Any

from devsynthd.wire.codec import Encoding
from tests.support.daemon import Dealer
from tests.vectors.conformity import Conformity
from tests.vectors.likeness import differences, moved
from tests.vectors.vector import Message, Vector, decode


class Replay:
    """A client that sends recorded bytes and holds the answers against the recorded ones.

    They have to satisfy the JSON Schema too.

    *places* are those in the recording, and where they are today.
    """

    def __init__(
        self, dealer: Dealer, vector: Vector, encoding: Encoding, places: Mapping[str, str]
    ) -> None:
        self._dealer, self._encoding, self._places = dealer, encoding, places
        self._left = list(vector.messages)
        self._conformity = Conformity()

    def send(self, value: Mapping[str, Any]) -> None:
        """Send what was recorded, which says *value*."""
        message = self._next("client")
        assert message.value == value, "the scene is not what was recorded"
        self._conformity.sent(value)
        self._dealer.socket.send(message.body(self._encoding))

    def receive(self) -> dict[str, Any]:
        """Return the next reply, which says what was recorded."""
        message = self._next("daemon")
        today = decode(self._dealer.socket.recv(), self._encoding)
        self._conformity.received(today)
        recorded = decode(message.body(self._encoding), self._encoding)
        assert list(differences(moved(recorded, self._places), today)) == [], today
        return today

    def assert_over(self) -> None:
        """Check that all that was recorded has been said."""
        assert not self._left

    def _next(self, sender: str) -> Message:
        assert self._left, "more is said than was recorded"
        message = self._left.pop(0)
        assert message.sender == sender, f"it is the {message.sender}'s turn"
        return message
