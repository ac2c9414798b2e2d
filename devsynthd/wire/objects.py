"""What results are made of. A field that the upstream does not tell is null."""

from typing import Any, Literal

from msgspec import Struct

from devsynthd.wire.requests import RequestId, Value

Provider = Literal["lmstudio", "openai", "embedded"]
Api = Literal["lmstudio-v1", "lmstudio-v0", "openai", "embedded"]
SettingSource = Literal["selected", "flag", "env", "file", "default"]
RequestState = Literal[
    "queued", "waiting", "loading", "downloading", "streaming", "done", "failed", "cancelled"
]


class Warn(Struct, frozen=True):
    """Something that the caller should know although the request succeeded.

    *code* is one of ``stale``, ``fallback``, ``other_model``, ``truncated``, ``env_override``,
    ``not_listed``, ``state_unknown``, ``kind_unknown`` and ``not_persisted``; clients take new
    ones.
    """

    code: str
    message: str


class Instance(Struct, frozen=True):
    """A model in memory; *context_length* is in tokens."""

    id: str
    context_length: int | None = None


class Model(Struct, frozen=True, kw_only=True):
    """One model of the upstream's list. Lengths are in tokens; *loaded* null means unknown."""

    id: str
    name: str
    owner: str | None = None
    kind: Literal["llm", "embedding", "unknown"] = "unknown"
    loaded: bool | None = None
    instances: tuple[Instance, ...] = ()
    context_length: int | None = None
    max_context_length: int | None = None
    architecture: str | None = None
    quantization: str | None = None
    format: str | None = None
    size_bytes: int | None = None
    parameters: str | None = None
    vision: bool | None = None
    tool_use: bool | None = None
    selected: bool = False


class Selection(Struct, frozen=True):
    """What would answer a ``generate`` that names no model, now, and why."""

    model: str | None
    how: Literal["selected", "configured", "auto", "fallback", "none"]
    available: bool | None
    reason: str


class Failure(Struct, frozen=True):
    """An error in brief."""

    code: str
    message: str


class Source(Struct, frozen=True, kw_only=True):
    """Where the list comes from and how fresh it is. *fetched_at* is Unix time in seconds."""

    provider: Provider
    api_base: str
    api: Api | None
    reachable: bool
    fetched_at: float | None
    age_s: float | None
    stale: bool
    error: Failure | None


class Usage(Struct, frozen=True):
    """Tokens, as the upstream counted them."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Timing(Struct, frozen=True, kw_only=True):
    """Where the seconds went: *queued_s* + *waiting_s* + *streaming_s* = *total_s*.

    *tokens_per_s* is the speed while it streams: as the upstream counted the tokens, or before the
    end an estimate from the pieces of the answer.
    """

    queued_s: float
    waiting_s: float
    streaming_s: float
    total_s: float
    tokens_per_s: float | None


class RequestInfo(Struct, frozen=True, kw_only=True):
    """A request that the daemon works on; *request* is the daemon's own number. Never text."""

    request: int
    id: RequestId
    client: str | None
    pid: int | None
    op: str
    model: str | None
    state: RequestState
    position: int | None
    timing: Timing | None
    error: Failure | None


class ConfigStatus(Struct, frozen=True, kw_only=True):
    """The configuration file; *overrides* are the keys in it that the environment hides."""

    path: str
    exists: bool
    config_generation: int
    valid: bool
    error: str | None
    overrides: tuple[str, ...]


class SettingInfo(Struct, frozen=True, kw_only=True):
    """A setting in force and where it comes from; a secret is masked, or empty if it is unset."""

    key: str
    value: Value
    source: SettingSource
    default: Value
    description: str
    secret: bool


class ModelCounts(Struct, frozen=True):
    """How many models the list has, and how many of them are known to be loaded."""

    total: int
    loaded: int


class QueueStatus(Struct, frozen=True):
    """Generations under way and waiting, with their limits (*limit* is for one client)."""

    running: int
    waiting: int
    limit: int
    max_concurrency: int


class Totals(Struct, frozen=True):
    """Counts since the daemon's start; *errors* by code."""

    requests: int
    generations: int
    tokens: int
    errors: dict[str, int]
    cancelled: int


class ErrorInfo(Struct, frozen=True, kw_only=True):
    """An error as it is told: code, what happened to what, what to do next."""

    code: str
    message: str
    hint: str | None = None
    retryable: bool = False
    details: dict[str, Any] = {}
