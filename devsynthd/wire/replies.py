"""How an answer travels: ``Chunk``, ``Progress``, ``Event``, then one ``Result`` or ``Error``."""

from msgspec import Raw, Struct

from devsynthd.wire.objects import ErrorInfo, RequestState
from devsynthd.wire.requests import RequestId, ToolCallPart, Topic
from devsynthd.wire.results import AnyResult


class Result(Struct, frozen=True, kw_only=True, tag_field="type", tag="result"):
    """The request succeeded."""

    id: RequestId
    result: AnyResult


class Chunk(Struct, frozen=True, kw_only=True, tag_field="type", tag="chunk", omit_defaults=True):
    """A piece of a streamed answer; *seq* counts from 0 without gaps.

    Fragments of one tool call have the same index; their arguments, joined, are the whole.
    """

    id: RequestId
    seq: int
    text: str = ""
    reasoning: str = ""
    tool_calls: tuple[ToolCallPart, ...] = ()


class Progress(Struct, frozen=True, kw_only=True, tag_field="type", tag="progress"):
    """How far a request is: *position* in the queue, *fraction* from 0 to 1, null if not known.

    *request* is the daemon's own number for it.
    """

    id: RequestId
    state: RequestState
    position: int | None
    fraction: float | None
    request: int


class Event(Struct, frozen=True, kw_only=True, tag_field="type", tag="event"):
    """News of a *topic*: what is in *data* is in `devsynthd.wire.events`, a struct a topic.

    *time* is Unix time in seconds. *snapshot*: it tells how everything is, not what has changed.
    *missed* is how many events of this topic were left out before it, for a reader that was slow.
    """

    id: RequestId
    topic: Topic
    time: float
    snapshot: bool
    missed: int
    data: Raw


class Error(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """The request failed; *id* is null where it could not be read."""

    id: RequestId | None
    error: ErrorInfo


class ReceivedResult(Struct, frozen=True, kw_only=True, tag_field="type", tag="result"):
    """A result as a client first sees it: its shape depends on the op, which the client knows."""

    id: RequestId
    result: Raw


AnyReply = Result | Chunk | Progress | Event | Error
ReceivedReply = ReceivedResult | Chunk | Progress | Event | Error
