"""What has been said, and what is sent next. Pure."""

from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from devsynthd.wire.requests import Message


class Turn(NamedTuple):
    """A message and its answer, which may have been stopped before its end."""

    message: str
    answer: str


class Question(NamedTuple):
    """A message that is to be answered.

    *before* is what is said before it, *otherwise* the conversation if no answer comes.
    """

    message: str
    before: "Conversation"
    otherwise: "Conversation"

    def sent(self) -> list[Message]:
        """Return the messages to send, without the system message."""
        said = [
            Message(role, text)
            for turn in self.before.turns
            for role, text in zip(("user", "assistant"), turn, strict=True)
        ]
        return [*self.before.context, *said, Message("user", self.message)]

    def answered(self, answer: str) -> "Conversation":
        """Return the conversation with *answer*, whole or stopped; a blank one counts as none."""
        if not answer.strip():
            return self.otherwise
        turns = (*self.before.turns, Turn(self.message, answer))
        return replace(self.before, turns=turns, unanswered=None)


class Conversation(Struct, frozen=True, kw_only=True):
    """A conversation; whatever happens in it makes another one.

    *context* comes before all turns. *unanswered* is the last message if nothing came back to it:
    it is not sent along with the next one, but can be sent again.
    """

    system: str | None = None
    context: tuple[Message, ...] = ()
    turns: tuple[Turn, ...] = ()
    unanswered: str | None = None

    def asked(self, message: str) -> Question:
        """Return the question that *message* is."""
        return Question(message, before=self, otherwise=replace(self, unanswered=message))

    def again(self) -> Question | None:
        """Return the last question once more; null if there is none.

        A message without an answer comes before one with an answer, which stays until another
        answer has come.
        """
        if self.unanswered is not None:
            return self.asked(self.unanswered)
        if not self.turns:
            return None
        before = replace(self, turns=self.turns[:-1])
        return Question(self.turns[-1].message, before, otherwise=self)

    def cleared(self) -> "Conversation":
        """Return it as it began; what is unanswered, perhaps for its length, can be sent again."""
        return replace(self, turns=())

    def instructed(self, system: str | None) -> "Conversation":
        """Return it with another system message, null for none."""
        return replace(self, system=system)
