"""What a generation may be asked, as Python values, and the request that they make. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

import msgspec
from msgspec import Raw

from devsynthctl.call import UNSENT
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.freeform import SHAPES, check_size, json_text, value_of
from devsynthd.wire.requests import ABSENT, Generate, Message, ToolChoice


class GenerateOptions(TypedDict, total=False):
    """What a generation may be asked besides its prompt; what is left out, the daemon decides.

    *messages* is context in OpenAI form, put before the prompt. *raw* sends the prompt without a
    chat template, *suffix* is what follows the gap to be filled in. *schema* is a JSON Schema that
    the answer has to satisfy; *tools* and *tool_choice* are in OpenAI form. *ttl* is how many
    seconds a model stays that is loaded for this; *extra* is further parameters for the upstream.
    *wait* is how many seconds an unavailable upstream is waited for; *fallback* false never takes
    the embedded engine instead; *background* gives way to everything else.
    """

    messages: Sequence[Message | Mapping[str, Any]]
    system: str | None
    raw: bool
    suffix: str | None
    model: str | None
    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    min_p: float | None
    seed: int | None
    stop: str | Sequence[str] | None
    repeat_penalty: float | None
    presence_penalty: float | None
    frequency_penalty: float | None
    logit_bias: dict[Any, float] | None
    schema: dict[str, Any] | None
    tools: list[Any] | None
    tool_choice: Literal["auto", "none", "required"] | Mapping[str, Any] | ToolChoice | None
    ttl: int | None
    extra: dict[str, Any] | None
    wait: float
    fallback: bool | None
    background: bool


def generate_request(
    prompt: str | None, *, stream: bool, **options: Unpack[GenerateOptions]
) -> Generate:
    """Return the request for a generation.

    Raises:
        BadRequest: A message or the choice of a tool is not in OpenAI form, or a free-form value
            is not a map or a list as it should be, cannot be JSON, or is too large.
    """
    given: dict[str, Any] = {**options}
    try:
        messages = [msgspec.convert(each, Message) for each in given.pop("messages", ())]
    except msgspec.ValidationError as exc:
        raise BadRequest(f"a message is not in OpenAI form: {exc}") from exc
    if isinstance(given.get("tool_choice"), Mapping):
        try:
            given["tool_choice"] = msgspec.convert(given["tool_choice"], ToolChoice)
        except msgspec.ValidationError as exc:
            raise BadRequest(f"`tool_choice` is not in OpenAI form: {exc}") from exc
    given |= {name: packed(name, given[name]) for name in SHAPES if name in given}
    return Generate(id=UNSENT, prompt=prompt, stream=stream, messages=messages, **given)


def packed(field: str, value: object) -> Raw:
    """Return the *value* of a free-form *field* as MessagePack, `ABSENT` for null.

    Raises:
        BadRequest: It is not of the field's shape, cannot be JSON, or is too large.
    """
    text = json_text(field, value)
    if text is ABSENT:
        return ABSENT
    try:
        # By way of its JSON: MessagePack has bytes, times and keys of any type, JSON has not.
        raw = Raw(msgspec.msgpack.encode(value_of(text)))
    except (msgspec.DecodeError, OverflowError, RecursionError) as exc:
        raise BadRequest(f"`{field}` cannot be sent: {exc}") from exc
    check_size(field, raw)
    return raw
