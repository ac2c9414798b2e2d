"""What a conversation sends next, after whatever happened in it."""

import pytest

from devsynthctl.chat.conversation import Conversation, Turn
from devsynthd.wire.requests import Message

CONTEXT = (Message("user", "look"), Message("assistant", "I see"))
SAID = Conversation(system="be brief", context=CONTEXT, turns=(Turn("a", "1"), Turn("b", "2")))


def test_all_that_was_said_is_sent_in_order() -> None:
    assert SAID.asking("c") == [
        *CONTEXT,
        Message("user", "a"),
        Message("assistant", "1"),
        Message("user", "b"),
        Message("assistant", "2"),
        Message("user", "c"),
    ]
    assert Conversation(system="be brief").asking("c") == [Message("user", "c")]


@pytest.mark.parametrize(
    ("after", "turns", "unanswered"),
    [
        (SAID.answered("c", "3"), 3, None),
        (SAID.answered("c", " \n"), 2, "c"),
        (SAID.answered("c", ""), 2, "c"),
        (SAID.failed("c"), 2, "c"),
        (SAID.failed("c").failed("d"), 2, "d"),
        (SAID.failed("c").answered("c", "3"), 3, None),
        (SAID.cleared(), 0, None),
        (SAID.failed("c").cleared(), 0, "c"),
        (SAID.instructed(None), 2, None),
    ],
)
def test_only_what_was_answered_is_a_turn(
    after: Conversation, turns: int, unanswered: str | None
) -> None:
    assert (len(after.turns), after.unanswered) == (turns, unanswered)
    assert after.context == CONTEXT


@pytest.mark.parametrize(
    ("before", "left", "message"),
    [
        (SAID, (Turn("a", "1"),), "b"),
        (SAID.answered("c", "3"), SAID.turns, "c"),
        (SAID.failed("c"), SAID.turns, "c"),
        (SAID.failed("c").cleared(), (), "c"),
    ],
)
def test_again_drops_the_last_answer_or_repeats_what_got_none(
    before: Conversation, left: tuple[Turn, ...], message: str
) -> None:
    again = before.again()
    assert again is not None
    assert (again[0].turns, again[1]) == (left, message)


@pytest.mark.parametrize("before", [Conversation(context=CONTEXT), SAID.cleared()])
def test_there_is_no_again_before_the_first_message(before: Conversation) -> None:
    assert before.again() is None


def test_the_system_message_stays_until_another_is_given() -> None:
    assert SAID.cleared().system == "be brief"
    assert SAID.failed("c").answered("d", "4").system == "be brief"
    assert SAID.instructed("be long").system == "be long"
    assert SAID.instructed(None).system is None
