"""From a ``generate`` request to the chat that is sent upstream. Pure."""

from collections.abc import Iterator

from msgspec import Struct

from devsynthd.service.parameters import parameters
from devsynthd.upstream.base import Chat
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.requests import ABSENT, ContentPart, Generate, Message

BYTES_PER_TOKEN = 4
UNLIMITED = -1  # of max_tokens: the upstream's own limit holds


class Defaults(Struct, frozen=True):
    """What holds where a request says nothing."""

    max_tokens: int
    temperature: float


def chat_for(request: Generate, model: str, defaults: Defaults) -> Chat:
    """Return what *model* is asked for *request*.

    Raises:
        BadRequest: There is nothing to answer, or fields do not go together.
    """
    wanted = defaults.max_tokens if request.max_tokens is None else int(request.max_tokens)
    if wanted == 0:
        raise BadRequest(
            "`max_tokens` is 0; allowed: an integer from 1 to 2147483647, or -1",
            hint="-1 leaves the limit to the server",
        )
    if request.raw or request.suffix is not None:
        _check_raw(request)
    return Chat(
        model=model,
        messages=() if request.raw else conversation(request),
        max_tokens=None if wanted == UNLIMITED else wanted,
        temperature=defaults.temperature if request.temperature is None else request.temperature,
        prompt=request.prompt if request.raw else None,
        suffix=request.suffix,
        parameters=parameters(request),
    )


def conversation(request: Generate) -> tuple[Message, ...]:
    """Return the messages in the order in which they are sent: system, context, prompt.

    Raises:
        BadRequest: There is nothing to answer, or a part of a message is empty.
    """
    if request.prompt is None and not request.messages:
        raise BadRequest(
            "`generate` has neither `prompt` nor `messages`", hint="send one of them, or both"
        )
    if request.prompt is not None and not request.prompt.strip():
        raise BadRequest("`prompt` is blank", hint="send some text")
    for position, message in enumerate(request.messages):
        for number, part in enumerate(_parts(message)):
            if (part.text if part.type == "text" else part.image_url) is None:
                raise BadRequest(
                    f"`messages[{position}].content[{number}]` has no `{part.type}`",
                    hint=f"a part of type {part.type} has its content in the field of that name",
                )
    if request.prompt is None and not any(map(_says_something, request.messages)):
        raise BadRequest("all `messages` are blank", hint="send some text")
    system = [Message("system", request.system)] if request.system is not None else []
    prompt = [Message("user", request.prompt)] if request.prompt is not None else []
    return (*system, *request.messages, *prompt)


def estimated_tokens(chat: Chat) -> int:
    """Return about how many tokens the text of *chat* has; rather too few than too many.

    Four bytes are a token of English text, and more than one of most other languages.
    """
    return sum(len(text.encode()) for text in _texts(chat)) // BYTES_PER_TOKEN


def _check_raw(request: Generate) -> None:
    """Check that what is sent as it is comes alone.

    Raises:
        BadRequest: It does not.
    """
    if not request.raw:
        raise BadRequest(
            "`suffix` needs `raw`: the gap between `prompt` and `suffix` is filled in",
            hint="send `raw`: true",
        )
    if request.prompt is None:
        raise BadRequest("`raw` needs `prompt`, the text to go on with", hint="it may be empty")
    given = {
        "messages": bool(request.messages),
        "system": request.system is not None,
        "tools": request.tools is not ABSENT,
        "schema": request.schema is not ABSENT,
    }
    for name, is_given in given.items():
        if is_given:
            raise BadRequest(
                f"`{name}` does not go with `raw`: that is the prompt as it is, and nothing else",
                hint=f"leave out `{name}` or `raw`",
            )


def _says_something(message: Message) -> bool:
    if isinstance(message.content, str):
        return bool(message.content.strip())
    return bool(message.tool_calls) or any(
        part.type != "text" or (part.text or "").strip() for part in _parts(message)
    )


def _parts(message: Message) -> list[ContentPart]:
    return [] if message.content is None or isinstance(message.content, str) else message.content


def _texts(chat: Chat) -> Iterator[str]:
    yield from (text for text in (chat.prompt, chat.suffix) if text)
    for message in chat.messages:
        if isinstance(message.content, str):
            yield message.content
        yield from (part.text for part in _parts(message) if part.text)
