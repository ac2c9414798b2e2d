"""From a request to the chat that is sent upstream."""

import pytest

from devsynthd.service.conversation import Defaults, chat_for
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.requests import Generate, Message

DEFAULTS = Defaults(max_tokens=1024, temperature=0.7)
CONTEXT = [Message("user", "a"), Message("assistant", "b")]


def test_system_comes_first_then_the_context_then_the_prompt() -> None:
    request = Generate(id=1, prompt="c", messages=CONTEXT, system="s")

    assert chat_for(request, "m", DEFAULTS).messages == (
        Message("system", "s"),
        *CONTEXT,
        Message("user", "c"),
    )


def test_messages_alone_are_enough() -> None:
    assert chat_for(Generate(id=1, messages=CONTEXT), "m", DEFAULTS).messages == tuple(CONTEXT)


@pytest.mark.parametrize(
    ("request_", "max_tokens", "temperature"),
    [
        (Generate(id=1, prompt="p"), 1024, 0.7),
        (Generate(id=1, prompt="p", max_tokens=5.0, temperature=0), 5, 0),
        (Generate(id=1, prompt="p", max_tokens=-1), None, 0.7),
    ],
)
def test_a_field_wins_over_the_setting(
    request_: Generate, max_tokens: int | None, temperature: float
) -> None:
    chat = chat_for(request_, "m", DEFAULTS)

    assert (chat.max_tokens, chat.temperature) == (max_tokens, temperature)
    assert not isinstance(chat.max_tokens, float)


@pytest.mark.parametrize(
    "request_",
    [
        Generate(id=1),
        Generate(id=1, system="only this"),
        Generate(id=1, prompt=""),
        Generate(id=1, prompt=" \n\t", messages=CONTEXT),
        Generate(id=1, prompt="p", max_tokens=0),
    ],
)
def test_a_request_without_a_question_is_refused(request_: Generate) -> None:
    with pytest.raises(BadRequest):
        chat_for(request_, "m", DEFAULTS)
