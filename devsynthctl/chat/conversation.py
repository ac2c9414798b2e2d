"""What has been said, and what is sent next. Pure."""

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from devsynthd.wire.requests import Message


class Turn(NamedTuple):
    """A message and its answer, which may have been stopped before its end."""

    message: str
    answer: str


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation; whatever happens in it makes another one.

    *context* comes before all turns. *unanswered* is the last message if nothing came back to it:
    it is not sent along with the next one, but can be sent again.
    """

    system: str | None = None
    context: tuple[Message, ...] = ()
    turns: tuple[Turn, ...] = ()
    unanswered: str | None = None

    def asking(self, message: str) -> list[Message]:
        """Return what is sent to have *message* answered, without the system message."""
        said = [
            Message(role, text)
            for turn in self.turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        return [*self.context, *said, Message("user", message)]

    def answered(self, message: str, answer: str) -> "Conversation":
        """Return it with *answer*, whole or stopped; a blank one counts as none."""
        if not answer.strip():
            return self.failed(message)
        return replace(self, turns=(*self.turns, Turn(message, answer)), unanswered=None)

    def failed(self, message: str) -> "Conversation":
        """Return it after *message* got no answer to go on from."""
        return replace(self, unanswered=message)

    def again(self) -> "tuple[Conversation, str] | None":
        """Return it without its last answer, and the message to send again; null if there is none.

        A message without an answer comes before one with an answer.
        """
        if self.unanswered is not None:
            return self, self.unanswered
        if not self.turns:
            return None
        return replace(self, turns=self.turns[:-1]), self.turns[-1].message

    def cleared(self) -> "Conversation":
        """Return it as it began; what is unanswered, perhaps for its length, can be sent again."""
        return replace(self, turns=())

    def instructed(self, system: str | None) -> "Conversation":
        """Return it with another system message, null for none."""
        return replace(self, system=system)
