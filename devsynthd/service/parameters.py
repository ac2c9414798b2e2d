"""What of a ``generate`` request becomes further fields of the body that is sent upstream. Pure."""

from typing import Any

from msgspec import Raw, to_builtins

from devsynthd.wire.errors import BadRequest
from devsynthd.wire.freeform import value_of
from devsynthd.wire.requests import ABSENT, Generate

_NUMBERS = (
    "top_p",
    "top_k",
    "min_p",
    "seed",
    "repeat_penalty",
    "presence_penalty",
    "frequency_penalty",
    "ttl",
)
_OWN_FIELDS = (*_NUMBERS, "stop", "logit_bias", "tools", "tool_choice")

SET_BY_THE_DAEMON = {
    **{name: f"the field `{name}`" for name in (*_OWN_FIELDS, "model", "messages", "suffix")},
    **{name: f"the field `{name}`" for name in ("prompt", "max_tokens", "temperature", "stream")},
    "n_predict": "the field `max_tokens`",
    "max_completion_tokens": "the field `max_tokens`",
    "input_prefix": "the field `prompt`",
    "input_suffix": "the field `suffix`",
    "response_format": "the field `schema`",
    "json_schema": "the field `schema`",
    "stream_options": "nothing: usage is always asked for",
    "n": "nothing: there is one answer to a request",
    "best_of": "nothing: there is one answer to a request",
}
"""Keys that ``extra`` may not have, and what is there in their place."""


def parameters(request: Generate) -> dict[str, Any]:
    """Return the fields of the body by their names upstream; what was not given is not there.

    Raises:
        BadRequest: A field does not go with the others, or ``extra`` has a key that is not free.
    """
    found: dict[str, Any] = {}
    for name in _NUMBERS:
        number = getattr(request, name)
        if number is not None:
            found[name] = int(number) if float(number).is_integer() else number
    if request.stop is not None:
        found["stop"] = request.stop
    if request.logit_bias is not ABSENT:
        found["logit_bias"] = _checked_bias(request.logit_bias)
    if request.tools is not ABSENT:
        found["tools"] = _checked_tools(request.tools)
    if request.tool_choice is not None:
        if request.tools is ABSENT:
            raise BadRequest("`tool_choice` needs `tools` to choose from")
        found["tool_choice"] = to_builtins(request.tool_choice)
    if request.schema is not ABSENT:
        schema = {"name": "answer", "strict": True, "schema": request.schema}
        found["response_format"] = {"type": "json_schema", "json_schema": schema}
    return found | _checked_extra(request.extra)


def _checked_bias(text: Raw) -> Raw:
    for token, bias in value_of(text).items():
        if isinstance(bias, bool) or not isinstance(bias, int | float):
            raise BadRequest(
                f"`logit_bias` of {token[:32]!r} is not a number",
                hint="send a map from tokens to numbers, like {'15339': -100}",
            )
    return text


def _checked_tools(text: Raw) -> Raw:
    for position, tool in enumerate(value_of(text)):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            raise BadRequest(
                f"`tools[{position}]` is not a tool in OpenAI form",
                hint='like {"type": "function", "function": {"name": ..., "parameters": ...}}',
            )
    return text


def _checked_extra(text: Raw) -> dict[str, Any]:
    extra: dict[str, Any] = value_of(text) or {}
    for key in extra:
        if key in SET_BY_THE_DAEMON:
            raise BadRequest(
                f"`extra` has the key `{key}`, which the daemon sets itself",
                hint=f"for that there is {SET_BY_THE_DAEMON[key]}",
            )
    return extra
