"""What a client can ask: one frozen struct an op, a tagged union of them all.

Whole numbers are declared as floats that are a multiple of 1: languages with one number type send
``16.0`` for 16, and both are taken.
"""

from typing import Annotated, Literal, get_args

from msgspec import Meta, Raw, Struct

from devsynthd.wire.limits import (
    MAX_INPUTS,
    MAX_KEY_CHARACTERS,
    MAX_MESSAGES,
    MAX_PARTS,
    MAX_SAFE_INTEGER,
    MAX_STOPS,
)

RequestId = str | int

IdOnWire = (
    Annotated[str, Meta(min_length=1, max_length=128)]
    | Annotated[int, Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER)]
    | Annotated[float, Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER, multiple_of=1)]
)
Count = Annotated[float, Meta(ge=0, le=MAX_SAFE_INTEGER, multiple_of=1)]
Seconds = Annotated[float, Meta(ge=0, le=1e9)]
ModelId = Annotated[str, Meta(min_length=1, max_length=1024)]
SettingKey = Annotated[str, Meta(min_length=1, max_length=MAX_KEY_CHARACTERS)]

Probability = Annotated[float, Meta(ge=0, le=1)]
Penalty = Annotated[float, Meta(ge=-2, le=2)]
StopText = Annotated[str, Meta(min_length=1, max_length=1024)]
InputText = Annotated[str, Meta(min_length=1)]

Value = str | int | float | bool
"""A value of a setting."""

Topic = Literal["models", "upstream", "config", "requests", "log"]
"""What there are events about."""

ABSENT = Raw()
"""Stands for a free-form field that is not given."""


class Request(
    Struct,
    frozen=True,
    kw_only=True,
    tag_field="op",
    forbid_unknown_fields=True,
    omit_defaults=True,  # an older daemon takes what a newer client does not use
):
    """Base of all requests. *id* is the client's choice, unique among its running requests."""

    id: IdOnWire
    v: Annotated[float, Meta(multiple_of=1)] = 1
    timeout: Annotated[float, Meta(gt=0, le=1e9)] | None = None  # seconds
    sent: Annotated[float, Meta(ge=0, le=1e12)] | None = None  # Unix time at the sender, seconds
    client: Annotated[str, Meta(max_length=64)] | None = None  # name and version


class Ping(Request, frozen=True, kw_only=True, tag="ping"):
    """Ask whether the daemon answers, what it speaks and what its limits are."""


class Status(Request, frozen=True, kw_only=True, tag="status"):
    """Ask how the daemon is."""


class List(Request, frozen=True, kw_only=True, tag="list"):
    """Ask for the models.

    *max_age* is in seconds: an older list is refreshed first. *since* is a generation: the answer
    comes when the current one differs, at the latest after *timeout*.
    """

    refresh: bool = False
    max_age: Seconds | None = None
    since: Count | None = None
    loaded: bool = False
    kind: Literal["llm", "embedding"] | None = None


class Select(Request, frozen=True, kw_only=True, tag="select"):
    """Choose the model that answers when a request names none; null chooses automatically."""

    model: ModelId | None
    persist: bool = True
    force: bool = False


class ImageUrl(Struct, frozen=True, omit_defaults=True):
    """An image by its URL, as a rule a ``data:`` one."""

    url: str
    detail: str | None = None


class ContentPart(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One part of a message's content, in OpenAI form."""

    type: Literal["text", "image_url"]
    text: str | None = None
    image_url: ImageUrl | None = None


class FunctionCall(Struct, frozen=True):
    """The function that a tool call names, and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(Struct, frozen=True, kw_only=True):
    """A call that a model made, in OpenAI form."""

    id: str
    type: Literal["function"] = "function"
    function: FunctionCall


class Message(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One message of a conversation, in OpenAI form."""

    role: Annotated[str, Meta(min_length=1, max_length=32)]
    content: str | Annotated[list[ContentPart], Meta(max_length=MAX_PARTS)] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: Annotated[list[ToolCall], Meta(max_length=MAX_PARTS)] | None = None


class FunctionPart(Struct, frozen=True, omit_defaults=True):
    """What a fragment adds to a call: the name, once, and a piece of the arguments."""

    name: str | None = None
    arguments: str = ""


class ToolCallPart(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A fragment of the call number *index*; the first one of each call has *id* and *type*."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionPart


class FunctionName(Struct, frozen=True):
    """A function by its name."""

    name: str


class ToolChoice(Struct, frozen=True, kw_only=True):
    """The one tool that is to be called."""

    type: Literal["function"] = "function"
    function: FunctionName


class Generate(Request, frozen=True, kw_only=True, tag="generate"):
    """Ask for one answer: a ``Chunk`` a delta if *stream*, and in any case one ``Result``.

    *schema*, *tools*, *logit_bias* and *extra* are free-form, `ABSENT` if not given. On the wire
    they are in the encoding of the request; the codec of the daemon makes them JSON text.
    """

    prompt: str | None = None
    messages: Annotated[list[Message], Meta(max_length=MAX_MESSAGES)] = []
    system: str | None = None
    raw: bool = False  # the prompt as it is, without a chat template
    suffix: str | None = None  # what follows the gap to be filled in
    model: ModelId | None = None
    max_tokens: Annotated[float, Meta(ge=-1, le=2**31 - 1, multiple_of=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Probability | None = None
    top_k: Annotated[float, Meta(ge=-1, le=2**31 - 1, multiple_of=1)] | None = None
    min_p: Probability | None = None
    seed: (
        Annotated[float, Meta(ge=-MAX_SAFE_INTEGER, le=MAX_SAFE_INTEGER, multiple_of=1)] | None
    ) = None
    stop: StopText | Annotated[list[StopText], Meta(max_length=MAX_STOPS)] | None = None
    repeat_penalty: Annotated[float, Meta(gt=0, le=100)] | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: Raw = ABSENT  # a map from tokens to numbers
    schema: Raw = ABSENT  # a JSON Schema
    tools: Raw = ABSENT  # a list, in OpenAI form
    tool_choice: Literal["auto", "none", "required"] | ToolChoice | None = None
    ttl: Annotated[float, Meta(ge=1, le=2**31 - 1, multiple_of=1)] | None = None  # seconds
    extra: Raw = ABSENT  # a map of further parameters of the upstream
    stream: bool = False
    progress: bool = False
    wait: Seconds = 0  # for an unavailable upstream, before any fallback
    fallback: bool | None = None
    background: bool = False


class Embed(Request, frozen=True, kw_only=True, tag="embed"):
    """Ask for the vectors of one text or several."""

    input: InputText | Annotated[list[InputText], Meta(min_length=1, max_length=MAX_INPUTS)]
    model: ModelId | None = None


class Load(Request, frozen=True, kw_only=True, tag="load"):
    """Have the upstream load a model. *context_length* is in tokens; null: the upstream's own."""

    model: ModelId
    context_length: Annotated[float, Meta(ge=1, le=MAX_SAFE_INTEGER, multiple_of=1)] | None = None
    progress: bool = False


class Unload(Request, frozen=True, kw_only=True, tag="unload"):
    """Have the upstream unload one instance, or all those of a model."""

    model: ModelId


class Download(Request, frozen=True, kw_only=True, tag="download"):
    """Have the upstream download a model, by its catalog id or URL."""

    model: ModelId
    quantization: Annotated[str, Meta(min_length=1, max_length=64)] | None = None
    progress: bool = False


class Cancel(Request, frozen=True, kw_only=True, tag="cancel"):
    """End a running request: one of this client by its id, or any by the daemon's number."""

    target: IdOnWire | None = None
    request: Count | None = None


class ConfigGet(Request, frozen=True, kw_only=True, tag="config_get"):
    """Ask for one setting, or with null for all: its value, and where that comes from."""

    key: SettingKey | None = None


class ConfigSet(Request, frozen=True, kw_only=True, tag="config_set"):
    """Write a setting to the config file: typed, or text as in the environment; null unsets it."""

    key: SettingKey
    value: Value | None

    def __repr__(self) -> str:
        return f"ConfigSet(key={self.key!r}, value=...)"  # it may be a secret


class Reload(Request, frozen=True, kw_only=True, tag="reload"):
    """Have the daemon read its config file now."""


class Subscribe(Request, frozen=True, kw_only=True, tag="subscribe"):
    """Ask for an ``Event`` whenever something changes, until this request is cancelled.

    The first one of each topic but ``log`` tells how it is now. *topics* null: all but ``log``.
    """

    topics: Annotated[list[Topic], Meta(min_length=1, max_length=16)] | None = None


class Shutdown(Request, frozen=True, kw_only=True, tag="shutdown"):
    """Have the daemon drain and exit. *grace* is in seconds; null: the setting."""

    grace: Seconds | None = None


AnyRequest = (
    Ping
    | Status
    | List
    | Select
    | Generate
    | Embed
    | Load
    | Unload
    | Download
    | Cancel
    | ConfigGet
    | ConfigSet
    | Reload
    | Subscribe
    | Shutdown
)

REQUEST_TYPES: dict[str, type[Request]] = {
    str(cls.__struct_config__.tag): cls for cls in get_args(AnyRequest)
}
"""The struct of each op, by its name on the wire."""
