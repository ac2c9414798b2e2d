"""One request from its line to its last reply, as the pipe sees it. Pure."""

from dataclasses import dataclass

from devsynthctl.attempts import SEND_AGAIN_S, give_up_at
from devsynthctl.pipe.asked import Asked
from devsynthd.wire.requests import RequestId


@dataclass(eq=False)
class Flight:
    """A request that is about to be sent, was sent, or waits to be sent again.

    Attributes:
        asked: What was asked.
        body: What is sent.
        deadline: Monotonic; null: none.
        is_ours: Whether the pipe asked by itself: nobody is told how it went.
        give_up: When nobody waits any more for what was sent, monotonic; null: never.
        connection: The number of the connection on which it was sent last.
        has_begun: Whether a part of its answer has come.
        ending: The line that ends it if it has waited for another daemon in vain.
        until: When that is, monotonic.
    """

    asked: Asked
    body: bytes
    deadline: float | None = None
    is_ours: bool = False
    give_up: float | None = None
    connection: int = 0
    has_begun: bool = False
    ending: bytes = b""
    until: float = 0.0

    @property
    def id(self) -> RequestId:
        """The id of the request."""
        return self.asked.id

    def sent_on(self, connection: int, now: float) -> None:
        """Note that it is sent *now* on *connection*."""
        self.connection = connection
        self.give_up = give_up_at(self.asked.op, now, self.deadline)

    def wait_for_another(self, ending: bytes, now: float) -> None:
        """Have it wait for another daemon while it has time, then end with the line *ending*."""
        self.ending = ending
        if self.deadline is not None:
            self.until = self.deadline
        elif self.until <= now:  # else it has waited already, and goes on
            self.until = now + SEND_AGAIN_S
