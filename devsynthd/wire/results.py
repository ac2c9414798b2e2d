"""What each op answers with: the ``result`` of a ``Result``."""

from msgspec import Raw, Struct

from devsynthd.wire.objects import (
    ConfigStatus,
    Model,
    ModelCounts,
    QueueStatus,
    RequestInfo,
    Selection,
    SettingInfo,
    SettingSource,
    Source,
    Timing,
    Totals,
    Usage,
    Warn,
)
from devsynthd.wire.requests import ToolCall, Value


class Limits(Struct, frozen=True):
    """What a client must keep to."""

    max_body_bytes: int
    max_message_bytes: int
    max_messages: int
    max_parts: int
    max_inputs: int
    max_free_form_bytes: int


class Pong(Struct, frozen=True, kw_only=True):
    """Answer to ``ping``; *instance* is new at every start of the daemon."""

    version: str
    protocol: int
    pid: int
    instance: str
    ops: tuple[str, ...]
    limits: Limits


class StatusReport(Struct, frozen=True, kw_only=True):
    """Answer to ``status``."""

    version: str
    protocol: int
    pid: int
    instance: str
    uptime_s: float
    socket: str
    config: ConfigStatus
    source: Source
    selection: Selection
    models: ModelCounts
    queue: QueueStatus
    requests: tuple[RequestInfo, ...]
    totals: Totals
    memory_bytes: int | None


class Models(Struct, frozen=True, kw_only=True):
    """Answer to ``list``."""

    generation: int
    models: tuple[Model, ...]
    selection: Selection
    source: Source
    warnings: tuple[Warn, ...]


class PackedModels(Struct, frozen=True, kw_only=True):
    """The same as a daemon sends it: the models are in the encoding of the reply already."""

    generation: int
    models: Raw
    selection: Selection
    source: Source
    warnings: tuple[Warn, ...]


class Selected(Struct, frozen=True, kw_only=True):
    """Answer to ``select``; *previous* is the model named before."""

    selection: Selection
    previous: str | None
    persisted: bool
    warnings: tuple[Warn, ...]


class Completion(Struct, frozen=True, kw_only=True):
    """Answer to ``generate``."""

    model: str
    text: str
    reasoning: str | None
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str | None
    usage: Usage | None
    timing: Timing
    fallback: bool
    warnings: tuple[Warn, ...]


class Embeddings(Struct, frozen=True, kw_only=True):
    """Answer to ``embed``: a vector a text, in the order of the texts."""

    model: str
    embeddings: tuple[tuple[float, ...], ...]
    usage: Usage | None
    warnings: tuple[Warn, ...]


class PackedEmbeddings(Struct, frozen=True, kw_only=True):
    """The same as a daemon sends it: each vector is in MessagePack already."""

    model: str
    embeddings: tuple[Raw, ...]
    usage: Usage | None
    warnings: tuple[Warn, ...]


class LoadOutcome(Struct, frozen=True, kw_only=True):
    """Answer to ``load``; *load_time_s* is 0 for a model that was loaded already."""

    model: str
    instance_id: str
    load_time_s: float


class UnloadOutcome(Struct, frozen=True, kw_only=True):
    """Answer to ``unload``: the instances that are gone now."""

    model: str
    instance_ids: tuple[str, ...]


class DownloadOutcome(Struct, frozen=True, kw_only=True):
    """Answer to ``download``; *status* is the upstream's word: ``completed``, ``paused``, ..."""

    model: str
    status: str
    size_bytes: int | None


class CancelOutcome(Struct, frozen=True):
    """Answer to ``cancel``: whether there was something to cancel."""

    cancelled: bool


class SettingsReport(Struct, frozen=True, kw_only=True):
    """Answer to ``config_get``, in the order of the file."""

    settings: tuple[SettingInfo, ...]


class SettingOutcome(Struct, frozen=True, kw_only=True):
    """Answer to ``config_set``.

    *value* is what the file says now, null if nothing; *effective* is what is in force and
    *source* where that comes from. A secret is masked.
    """

    key: str
    value: Value | None
    effective: Value
    source: SettingSource
    warnings: tuple[Warn, ...]


class ReloadOutcome(Struct, frozen=True, kw_only=True):
    """Answer to ``reload``: the keys whose values in force are others now."""

    config_generation: int
    changed: tuple[str, ...]


class Empty(Struct, frozen=True):
    """Answer of an op that has nothing to tell."""


AnyResult = (
    Pong
    | StatusReport
    | Models
    | PackedModels
    | Selected
    | Completion
    | Embeddings
    | PackedEmbeddings
    | LoadOutcome
    | UnloadOutcome
    | DownloadOutcome
    | CancelOutcome
    | SettingsReport
    | SettingOutcome
    | ReloadOutcome
    | Empty
)

RESULT_TYPES: dict[str, type[AnyResult]] = {
    "ping": Pong,
    "status": StatusReport,
    "list": Models,
    "select": Selected,
    "generate": Completion,
    "embed": Embeddings,
    "load": LoadOutcome,
    "unload": UnloadOutcome,
    "download": DownloadOutcome,
    "cancel": CancelOutcome,
    "config_get": SettingsReport,
    "config_set": SettingOutcome,
    "reload": ReloadOutcome,
    "shutdown": Empty,
}
"""The result of each op, by the op's name on the wire."""
