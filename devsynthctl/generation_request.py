"""What a generation may be asked, as Python values, and the request that they make. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

import msgspec
from msgspec import Raw

from devsynthctl.call import UNSENT
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.freeform import SHAPES, check_size, json_text, value_of
from devsynthd.wire.nearest import nearest
from devsynthd.wire.requests import ABSENT, Generate, Message, ToolChoice


class GenerateOptions(TypedDict, total=False):
    """What a generation may be asked besides its prompt; what is left out, the daemon decides."""

    messages: Sequence[Message | Mapping[str, Any]]
    """The conversation so far, in OpenAI form, put before the prompt."""
    system: str | None
    """The system message, put first."""
    raw: bool
    """Send the prompt as it is, without a chat template."""
    suffix: str | None
    """What follows the gap that the answer fills."""
    model: str | None
    """The model's id."""
    max_tokens: int | None
    """The longest answer; -1: as long as the server allows."""
    temperature: float | None
    """0 to 2."""
    top_p: float | None
    """0 to 1."""
    top_k: int | None
    """-1 for none."""
    min_p: float | None
    """0 to 1."""
    seed: int | None
    """The same seed, the same answer, where the server keeps to that."""
    stop: str | Sequence[str] | None
    """Texts that end the answer."""
    repeat_penalty: float | None
    """More than 0, 1 for none."""
    presence_penalty: float | None
    """-2 to 2."""
    frequency_penalty: float | None
    """-2 to 2."""
    logit_bias: dict[Any, float] | None
    """From tokens to numbers."""
    schema: dict[str, Any] | None
    """A JSON Schema; the answer is JSON that satisfies it."""
    tools: list[Any] | None
    """Functions that the model may call, in OpenAI form; nothing is run."""
    tool_choice: Literal["auto", "none", "required"] | Mapping[str, Any] | ToolChoice | None
    """Whether it may or must call one, or which."""
    ttl: int | None
    """Seconds that a model stays that is loaded for this."""
    extra: dict[str, Any] | None
    """Further parameters for the upstream."""
    wait: float
    """Seconds to wait for an upstream that is not there."""
    fallback: bool | None
    """False: never the embedded engine instead."""
    background: bool
    """Give way to everything else."""


_NEIGHBOURS = {
    "stream": "call `stream()` for the chunks of an answer",
    "progress": "give `on_progress`, a function, and it is told",
}
"""What is a field of the request but no option, and what to do instead."""


def _check_names(options: Mapping[str, object]) -> None:
    """Check that there are such options.

    Raises:
        TypeError: There is one that is not; the message has the nearest name.
    """
    for name in options.keys() - GenerateOptions.__annotations__.keys():
        hint = _NEIGHBOURS.get(name)
        if hint is None:
            near = nearest(name, [*GenerateOptions.__annotations__, "on_progress", "timeout"])
            hint = f"did you mean `{near}`?" if near else "help(Client.generate) lists the options"
        raise TypeError(f"a generation has no option `{name}`: {hint}")


def generate_request(
    prompt: str | None, options: Mapping[str, object], *, stream: bool
) -> Generate:
    """Return the request for a generation; *options* are `GenerateOptions`, if they are right.

    Raises:
        TypeError: There is no such option.
        BadRequest: A message or the choice of a tool is not in OpenAI form, or a free-form value
            is not a map or a list as it should be, cannot be JSON, or is too large.
    """
    _check_names(options)
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
