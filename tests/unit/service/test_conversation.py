"""From a request to the chat that is sent upstream."""

import pytest
from msgspec import Raw

from devsynthd.service.conversation import Defaults, chat_for, estimated_tokens
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.requests import ContentPart, Generate, ImageUrl, Message

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


def test_the_callers_list_is_left_as_it_is() -> None:
    messages = list(CONTEXT)
    chat_for(Generate(id=1, prompt="c", messages=messages, system="s"), "m", DEFAULTS)

    assert messages == CONTEXT


@pytest.mark.parametrize("prompt", ["x = ", "", " \n"])
def test_a_raw_prompt_goes_as_it_is(prompt: str) -> None:
    chat = chat_for(Generate(id=1, prompt=prompt, raw=True, suffix="\nend"), "m", DEFAULTS)

    assert (chat.prompt, chat.suffix, chat.messages) == (prompt, "\nend", ())
    assert (chat.max_tokens, chat.temperature) == (1024, 0.7)


@pytest.mark.parametrize(
    ("request_", "named"),
    [
        (Generate(id=1, raw=True, prompt="p", messages=CONTEXT), "`messages`"),
        (Generate(id=1, raw=True, prompt="p", system=""), "`system`"),
        (Generate(id=1, raw=True, prompt="p", schema=Raw(b"{}")), "`schema`"),
        (Generate(id=1, raw=True, prompt="p", tools=Raw(b"[]")), "`tools`"),
        (Generate(id=1, raw=True), "`prompt`"),
        (Generate(id=1, prompt="p", suffix="s"), "`raw`"),
    ],
)
def test_a_raw_prompt_goes_alone(request_: Generate, named: str) -> None:
    with pytest.raises(BadRequest, match=named) as caught:
        chat_for(request_, "m", DEFAULTS)
    assert caught.value.hint


@pytest.mark.parametrize(
    "part", [ContentPart("text"), ContentPart("image_url"), ContentPart("image_url", text="x")]
)
def test_a_part_without_content_is_refused(part: ContentPart) -> None:
    whole = ContentPart("text", text="what is this?")
    request = Generate(id=1, messages=[*CONTEXT, Message("user", [whole, part])])

    with pytest.raises(BadRequest, match=r"messages\[2\]\.content\[1\]"):
        chat_for(request, "m", DEFAULTS)


def test_an_image_goes_as_it_is() -> None:
    image = ContentPart("image_url", image_url=ImageUrl("data:image/png;base64,AAAA"))
    message = Message("user", [image, ContentPart("text", text="what is this?")])

    assert chat_for(Generate(id=1, messages=[message]), "m", DEFAULTS).messages == (message,)


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [
        (Generate(id=1, prompt="x" * 40), 10),
        (Generate(id=1, prompt="x" * 40, raw=True, suffix="y" * 8), 12),
        (Generate(id=1, messages=[Message("user", [ContentPart("text", text="x" * 8)])]), 2),
    ],
)
def test_tokens_are_estimated_by_the_text(request_: Generate, tokens: int) -> None:
    assert estimated_tokens(chat_for(request_, "m", DEFAULTS)) == tokens
