"""The seam between the daemon and whoever answers: what it asks for and what comes back."""

from typing import Any, Protocol

from msgspec import Raw, Struct

from devsynthd.upstream.relay import Relay
from devsynthd.wire.objects import Api, Model, Usage
from devsynthd.wire.requests import Message, ToolCall, ToolCallPart


class Listing(Struct, frozen=True):
    """One observation of the upstream's models, in its own order.

    *slots* says how many generations an instance gives at a time, by its id, where that is told.
    """

    api: Api
    models: tuple[Model, ...]
    slots: dict[str, int] = {}


class Chat(Struct, frozen=True, kw_only=True):
    """One chat to be answered, or with *prompt* a text to be gone on with.

    *prompt* is sent as it is, without *messages*; with *suffix* the gap before that is filled in.
    *max_tokens* null: the field is not sent. *parameters* are further fields of the body, which
    may hold JSON text as ``msgspec.Raw``.
    """

    model: str
    messages: tuple[Message, ...]
    max_tokens: int | None
    temperature: float
    prompt: str | None = None
    suffix: str | None = None
    parameters: dict[str, Any] = {}


class Delta(Struct, frozen=True):
    """What one event of an answer adds; an empty one is never handed on."""

    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()


class Ending(Struct, frozen=True, kw_only=True):
    """What the upstream told at the end of a complete answer; *model* is who it says answered."""

    model: str | None
    finish_reason: str | None
    usage: Usage | None
    tool_calls: tuple[ToolCall, ...] = ()


class Vectors(Struct, frozen=True, kw_only=True):
    """The vectors of some texts, in their order; *model* is who the upstream says made them.

    Each is an array of float64 in MessagePack, 9 bytes a number: as Python's own it would take 32.
    """

    model: str | None
    vectors: tuple[Raw, ...]
    usage: Usage | None


class Stages(Protocol):
    """Is told, on the event loop, how far a request is that has not been answered yet."""

    def loading(self) -> None:
        """Note that the model is being loaded, and the request goes out after that."""

    def sent(self) -> None:
        """Note that the request goes out now."""


class LoadedInstance(Struct, frozen=True):
    """A model that was loaded; *context_length* in tokens, null if the upstream does not say."""

    id: str
    context_length: int | None
    load_time_s: float


class Job(Struct, frozen=True, kw_only=True):
    """A download as it stands; *id* is null where nothing is left to watch."""

    id: str | None
    status: str
    size_bytes: int | None
    downloaded_bytes: int | None = None
    reason: str | None = None


class Manager(Protocol):
    """Loads, unloads and downloads models there.

    Every method may be cancelled, which hangs up; the upstream may finish all the same. All raise
    ``upstream_*``, ``model_not_found`` or ``model_load_failed``.
    """

    async def load(self, model: str, context_length: int | None) -> LoadedInstance:
        """Load another instance of *model*; takes as long as it takes, up to minutes."""

    async def unload(self, instance_id: str) -> None:
        """Unload one instance; one that is gone already is no error."""

    async def download(self, model: str, quantization: str | None) -> Job:
        """Start to download *model*."""

    async def job(self, job_id: str) -> Job:
        """Return how far that download is."""


class Upstream(Protocol):
    """Somebody who lists models, answers chats and makes vectors.

    All of it may be cancelled at any time: it hangs up at once, and the cancellation goes on when
    the connection is closed.
    """

    @property
    def address(self) -> str:
        """Where it is, for messages: a URL without user, password or query."""

    @property
    def manager(self) -> Manager | None:
        """What manages models there; none where the server cannot, or as far as is known."""

    async def models(self) -> Listing:
        """Return the models.

        Raises:
            DevsynthError: ``upstream_*``, as devsynthd.wire.errors says.
        """

    async def chat(self, chat: Chat, relay: Relay[Delta], stages: Stages) -> Ending:
        """Put the deltas of the answer into *relay* as they come; return how it ended.

        Raises:
            DevsynthError: Before the first delta ``upstream_*``, ``model_not_found``,
                ``model_load_failed``, ``context_overflow`` or ``not_supported``; after it
                ``incomplete``.
        """

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        """Return the vectors that *model* makes of *texts*.

        Raises:
            DevsynthError: As ``chat`` before its first delta.
        """

    async def close(self) -> None:
        """Hang up on all that is under way and let go of threads and connections."""
