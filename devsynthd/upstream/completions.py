"""The shapes of what completions say: of chats, of texts, and of llama.cpp's ``/infill``. Pure."""

from typing import Any

from msgspec import Struct


class Function(Struct, gc=False):
    """What a fragment says of the function that is called."""

    name: str | None = None
    arguments: str | None = None


class CallPart(Struct):
    """A fragment of a tool call, as the upstream numbers it."""

    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Message(Struct):
    """What a chat adds, or all that it said."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[CallPart] | None = None


class Choice(Struct):
    """One of the answers to a request; only the first one, *index* 0 or null, was asked for."""

    index: int | None = None
    delta: Message | None = None
    message: Message | None = None  # of a server that ignores ``stream``
    text: str | None = None  # of a text completion
    finish_reason: str | None = None


class Completion(Struct):
    """A chunk of a completion, or a whole one: every field may be missing or null.

    Those from *content* on are what ``/infill`` has in place of choices and usage.
    """

    choices: list[Choice] | None = None
    model: str | None = None
    usage: Any = None
    error: Any = None
    object: Any = None
    content: str | None = None
    stop: bool | None = None
    stop_type: str | None = None
    tokens_evaluated: int | None = None
    tokens_predicted: int | None = None

    @property
    def is_infill(self) -> bool:
        """Whether ``/infill`` said it."""
        return self.choices is None and self.stop is not None


def first_choice(completion: Completion) -> Choice | None:
    """Return what the first answer of *completion* adds."""
    if completion.is_infill:
        return Choice(text=completion.content, finish_reason=_finish_reason(completion))
    return next((choice for choice in completion.choices or () if not choice.index), None)


def counts(completion: Completion) -> Any:  # noqa: ANN401 - JSON is anything
    """Return what *completion* counts, in OpenAI form; ``None`` while it counts nothing."""
    if not completion.is_infill:
        return completion.usage
    if not completion.stop:  # counts on the way are no sum
        return None
    return {
        "prompt_tokens": completion.tokens_evaluated,
        "completion_tokens": completion.tokens_predicted,
    }


def _finish_reason(completion: Completion) -> str | None:
    if not completion.stop:
        return None
    return "length" if completion.stop_type == "limit" else "stop"
