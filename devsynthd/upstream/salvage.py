"""Reads completions whose shape is odd: what has the right type counts, the rest is left. Pure."""

from typing import Any

from devsynthd.upstream.completions import CallPart, Choice, Completion, Function, Message
from devsynthd.upstream.entries import mapping, maps, whole_number
from devsynthd.upstream.failures import dumps


def salvaged(value: dict[str, Any]) -> Completion:
    """Return the fields of *value* that have the right type, and well-formed text in them."""
    has_choices = isinstance(value.get("choices"), list)
    stop = value.get("stop")
    return Completion(
        choices=[_choice(choice) for choice in maps(value["choices"])] if has_choices else None,
        model=_text(value.get("model")),
        usage=value.get("usage"),
        error=value.get("error"),
        object=value.get("object"),
        content=_text(value.get("content")),
        stop=stop if isinstance(stop, bool) else None,
        stop_type=_text(value.get("stop_type")),
        tokens_evaluated=whole_number(value.get("tokens_evaluated")),
        tokens_predicted=whole_number(value.get("tokens_predicted")),
    )


def _choice(choice: dict[str, Any]) -> Choice:
    delta, message = choice.get("delta"), choice.get("message")
    return Choice(
        index=whole_number(choice.get("index")),
        delta=_message(delta) if isinstance(delta, dict) else None,
        message=_message(message) if isinstance(message, dict) else None,
        text=_text(choice.get("text")),
        finish_reason=_text(choice.get("finish_reason")),
    )


def _message(message: dict[str, Any]) -> Message:
    return Message(
        content=_content(message.get("content")),
        reasoning_content=_text(message.get("reasoning_content")),
        reasoning=_text(message.get("reasoning")),
        tool_calls=[_call(call) for call in maps(message.get("tool_calls"))],
    )


def _call(call: dict[str, Any]) -> CallPart:
    function = mapping(call.get("function"))
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # some servers forget that it is text
        arguments = dumps(arguments)
    return CallPart(
        index=whole_number(call.get("index")),
        id=_text(call.get("id")),
        function=Function(_text(function.get("name")), _text(arguments)),
    )


def _content(value: object) -> str | None:
    """Return *value* as text, which some servers send in parts as clients do."""
    if not isinstance(value, list):
        return _text(value)
    texts = [part for entry in value if isinstance(part := _part(entry), str)]
    return _text("".join(texts))


def _part(entry: object) -> object:
    if isinstance(entry, dict):
        return entry.get("text") if entry.get("type", "text") == "text" else None
    return entry


def _text(value: object) -> str | None:
    """Return *value* if it is text, with U+FFFD for halves of surrogate pairs."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
