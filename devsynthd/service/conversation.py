"""From a ``generate`` request to the chat that is sent upstream. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from devsynthd.upstream.base import Chat
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.requests import Generate, Message

BYTES_PER_TOKEN = 4
UNLIMITED = -1  # of max_tokens: the upstream's own limit holds


class Defaults(Struct, frozen=True):
    """What holds where a request says nothing."""

    max_tokens: int
    temperature: float


def conversation(request: Generate) -> tuple[Message, ...]:
    """Return the messages in the order in which they are sent: system, context, prompt.

    Raises:
        BadRequest: There is nothing to answer.
    """
    if request.prompt is None and not request.messages:
        raise BadRequest(
            "`generate` has neither `prompt` nor `messages`", hint="send one of them, or both"
        )
    if request.prompt is not None and not request.prompt.strip():
        raise BadRequest("`prompt` is blank", hint="send some text")
    system = [Message("system", request.system)] if request.system is not None else []
    prompt = [Message("user", request.prompt)] if request.prompt is not None else []
    return (*system, *request.messages, *prompt)


def chat_for(request: Generate, model: str, defaults: Defaults) -> Chat:
    """Return what *model* is asked for *request*.

    Raises:
        BadRequest: There is nothing to answer, or ``max_tokens`` is 0.
    """
    wanted = defaults.max_tokens if request.max_tokens is None else int(request.max_tokens)
    if wanted == 0:
        raise BadRequest("`max_tokens` is 0", hint="send 1 or more, or -1 for no limit")
    return Chat(
        model=model,
        messages=conversation(request),
        max_tokens=None if wanted == UNLIMITED else wanted,
        temperature=defaults.temperature if request.temperature is None else request.temperature,
    )


def estimated_tokens(chat: Chat) -> int:
    """Return about how many tokens the text of *chat* has; rather too few than too many.

    Four bytes are a token of English text, and more than one of most other languages.
    """
    return sum(len(text.encode()) for text in _texts(chat)) // BYTES_PER_TOKEN


def _texts(chat: Chat) -> Iterator[str]:
    for message in chat.messages:
        if isinstance(message.content, str):
            yield message.content
        else:
            yield from (part.text for part in message.content or () if part.text)
