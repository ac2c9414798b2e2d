"""What a conversation sends next, after whatever happened in it."""

import pytest

from devsynthctl.chat.conversation import Conversation, Question, Turn
from devsynthd.wire.requests import Message

CONTEXT = (Message("user", "look"), Message("assistant", "I see"))
SAID = Conversation(system="be brief", context=CONTEXT, turns=(Turn("a", "1"), Turn("b", "2")))


def failed(said: Conversation, message: str) -> Conversation:
    """Return the conversation after *message* got no answer."""
    return said.asked(message).otherwise


def again(said: Conversation) -> Question:
    """Return what is asked again."""
    question = said.again()
    assert question
    return question


def test_all_that_was_said_is_sent_in_order() -> None:
    assert SAID.asked("c").sent() == [
        *CONTEXT,
        Message("user", "a"),
        Message("assistant", "1"),
        Message("user", "b"),
        Message("assistant", "2"),
        Message("user", "c"),
    ]
    assert Conversation(system="be brief").asked("c").sent() == [Message("user", "c")]


@pytest.mark.parametrize(
    ("after", "turns", "unanswered"),
    [
        (SAID.asked("c").answered("3"), 3, None),
        (SAID.asked("c").answered(" \n"), 2, "c"),
        (SAID.asked("c").answered(""), 2, "c"),
        (failed(SAID, "c"), 2, "c"),
        (failed(failed(SAID, "c"), "d"), 2, "d"),
        (failed(SAID, "c").asked("c").answered("3"), 3, None),
        (SAID.cleared(), 0, None),
        (failed(SAID, "c").cleared(), 0, "c"),
        (SAID.instructed(None), 2, None),
    ],
)
def test_only_what_was_answered_is_a_turn(
    after: Conversation, turns: int, unanswered: str | None
) -> None:
    assert (len(after.turns), after.unanswered) == (turns, unanswered)
    assert after.context == CONTEXT


@pytest.mark.parametrize(
    ("said", "before", "message"),
    [
        (SAID, (Turn("a", "1"),), "b"),
        (SAID.asked("c").answered("3"), SAID.turns, "c"),
        (failed(SAID, "c"), SAID.turns, "c"),
        (failed(SAID, "c").cleared(), (), "c"),
    ],
)
def test_again_asks_for_another_answer_or_repeats_what_got_none(
    said: Conversation, before: tuple[Turn, ...], message: str
) -> None:
    question = again(said)
    assert (question.before.turns, question.message) == (before, message)
    after = question.answered("new")
    assert (after.turns, after.unanswered) == ((*before, Turn(message, "new")), None)


@pytest.mark.parametrize("said", [SAID, failed(SAID, "c")])
def test_nothing_changes_until_another_answer_comes(said: Conversation) -> None:
    assert again(said).otherwise == said
    assert again(said).answered(" ") == said


@pytest.mark.parametrize("said", [Conversation(context=CONTEXT), SAID.cleared()])
def test_there_is_no_again_before_the_first_message(said: Conversation) -> None:
    assert said.again() is None


def test_the_system_message_stays_until_another_is_given() -> None:
    assert SAID.cleared().system == "be brief"
    assert failed(SAID, "c").asked("d").answered("4").system == "be brief"
    assert SAID.instructed("be long").system == "be long"
    assert SAID.instructed(None).system is None
