"""One request under way: who asked, how it is answered, and how it ends early."""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from devsynthd.service.grown_text import GrownText
from devsynthd.service.ledger import Ledger
from devsynthd.wire.codec import Encoding, encode
from devsynthd.wire.errors import (
    Cancelled,
    DeadlineExceeded,
    DevsynthError,
    ErrorCode,
    Incomplete,
    Internal,
)
from devsynthd.wire.objects import ErrorInfo, Failure, RequestInfo, RequestState, Timing
from devsynthd.wire.replies import AnyReply, Chunk, Error, Progress, Result
from devsynthd.wire.requests import (
    Download,
    Embed,
    Generate,
    Load,
    Request,
    RequestId,
    Subscribe,
    ToolCallPart,
)
from devsynthd.wire.results import AnyResult, Completion

logger = logging.getLogger(__name__)

Frames = list[bytes]

_FIRST_STATES: dict[type[Request], RequestState] = {
    Generate: "queued",
    Embed: "queued",
    Load: "loading",
    Download: "downloading",
    Subscribe: "streaming",
}
"""What a request does first; all others wait for something."""


class Client(Protocol):
    """The connection that a request came by; *is_own*: from the daemon itself."""

    uid: int | None
    pid: int | None
    is_req: bool
    is_own: bool

    def __hash__(self) -> int:
        """A connection is told from others by its identity."""

    @property
    def writable(self) -> bool:
        """Whether a message sent now would leave at once."""

    def send(self, frames: Frames) -> None:
        """Send one message; nothing if the client has left."""


class Envelope:
    """How one client wants its answer: on which connection, in which encoding and framing."""

    def __init__(self, client: Client, encoding: Encoding, *, delimiter: bool) -> None:
        self.client, self.encoding = client, encoding
        self._prefix = [b""] if delimiter else []

    def send(self, reply: AnyReply) -> None:
        """Send *reply* back."""
        self.client.send(self.seal(reply))

    def seal(self, reply: AnyReply) -> Frames:
        """Return *reply* as the message that ``send`` sends."""
        return [*self._prefix, encode(reply, self.encoding)]


class Call:
    """A request under way. It is answered exactly once, by a ``Result`` or an ``Error``.

    *number* is the daemon's own, *size_bytes* the length of the request's body; *text* is what has
    been generated so far, for errors that tell it. *on_writable*, if set, is called when a slow
    client has read on; *on_change* whenever what ``info`` tells is another, the last time when it
    has been answered. *told_position* is the place in the queue that was told last by it.
    """

    def __init__(
        self,
        envelope: Envelope,
        request: Request,
        request_id: RequestId,
        number: int,
        *,
        size_bytes: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.envelope, self.request, self.id, self.number = envelope, request, request_id, number
        self.size_bytes, self.clock = size_bytes, clock
        self.ledger = Ledger(clock())
        self.state = _FIRST_STATES.get(type(request), "waiting")
        self.model: str | None = getattr(request, "model", None)
        self.on_writable: Callable[[], None] = lambda: None
        self.on_change: Callable[[Call], None] = lambda _: None
        self.told_position: int | None = None
        self.text = GrownText()
        self.task: asyncio.Task[None] | None = None
        self.deadline: float | None = None  # on the event loop's clock
        self.answered = False
        self._seq = 0
        self._reason: DevsynthError | None = None
        self._timing: Timing | None = None  # of a completion
        self.error: ErrorInfo | None = None
        self._ended: asyncio.Event | None = None  # most calls are answered at once

    @property
    def client(self) -> Client:
        """The connection that asked."""
        return self.envelope.client

    @property
    def wants_progress(self) -> bool:
        """Whether the client asked to be told how far the request is."""
        return bool(getattr(self.request, "progress", False))

    @property
    def op(self) -> str:
        """The name of the request on the wire."""
        return str(self.request.__struct_config__.tag)

    @property
    def fields(self) -> dict[str, object]:
        """What a line of the log about it says besides its text, as far as it is known."""
        known = {
            "request": self.number,
            "op": self.op,
            "model": self.model,
            "client": self.request.client,
            "client_pid": self.client.pid,
        }
        return {name: value for name, value in known.items() if value is not None}

    @property
    def is_subscription(self) -> bool:
        """Whether it lasts until somebody ends it, and keeps nothing up."""
        return isinstance(self.request, Subscribe)

    # Answering -----------------------------------------------------------------------------

    def chunk(self, text: str, reasoning: str, tool_calls: tuple[ToolCallPart, ...]) -> None:
        """Send a piece of the answer."""
        self.envelope.send(
            Chunk(id=self.id, seq=self._seq, text=text, reasoning=reasoning, tool_calls=tool_calls)
        )
        self._seq += 1

    def enter(self, state: RequestState) -> None:
        """Go on to *state*, and tell the client if it asked for progress."""
        self.state = state
        self.changed()
        if self.wants_progress:
            self.progress(None)

    def progress(self, fraction: float | None, position: int | None = None) -> None:
        """Send how far it is; *fraction* is from 0 to 1, *position* its place in the queue."""
        self.envelope.send(
            Progress(
                id=self.id,
                state=self.state,
                position=position,
                fraction=fraction,
                request=self.number,
            )
        )

    def changed(self) -> None:
        """Say to whoever watches that it has another state or model now."""
        self.on_change(self)

    def moved(self, position: int) -> None:
        """Send that *position* is its place in the queue now."""
        self.progress(None, position)

    def succeed(self, result: AnyResult) -> None:
        """Answer with *result*."""
        if isinstance(result, Completion):
            self._timing = result.timing
        self._answer(Result(id=self.id, result=result), "done")

    def fail(self, error: DevsynthError) -> None:
        """Answer with *error*, and with the text so far where the protocol tells it."""
        tells_text = isinstance(error, Cancelled | DeadlineExceeded | Incomplete)
        if tells_text and not self.is_subscription:
            error.details.setdefault("text", str(self.text))
        state: RequestState = "cancelled" if isinstance(error, Cancelled) else "failed"
        try:
            self._answer(Error(id=self.id, error=error_info(error)), state)
        except (UnicodeEncodeError, OverflowError):
            # It must be answered all the same, and one request must not end the daemon.
            logger.exception("the error %r cannot be told", error, extra={"fields": self.fields})
            bug = Internal("an error that cannot be told", hint="the daemon's log has the details")
            self._answer(Error(id=self.id, error=error_info(bug)), "failed")

    def _answer(self, reply: AnyReply, state: RequestState) -> None:
        if not self.answered:
            message = self.envelope.seal(reply)  # if that fails, it is not answered yet
            self.answered, self.state = True, state
            self.client.send(message)
            if isinstance(reply, Error):
                self.error = reply.error
            self.changed()
        if self._ended is not None:
            self._ended.set()

    # Ending early --------------------------------------------------------------------------

    def end(self, reason: DevsynthError) -> None:
        """Stop the work and answer with *reason* once it has stopped."""
        if self._reason is None and not self.answered:
            self._reason = reason
            if self.task is not None:  # else whoever makes it cancels it
                self.task.cancel()

    @property
    def is_ending(self) -> bool:
        """Whether it has been told to stop."""
        return self._reason is not None

    @property
    def reason(self) -> DevsynthError:
        """Why it was ended; by default because the daemon stops."""
        return self._reason or Cancelled("the daemon stops")

    async def ended(self) -> None:
        """Wait until it has been answered."""
        if not self.answered:
            self._ended = self._ended or asyncio.Event()
            await self._ended.wait()

    def info(self, position: int | None) -> RequestInfo:
        """Return it as ``status`` and events show it; *position* is its place in the queue."""
        return RequestInfo(
            request=self.number,
            id=self.id,
            client=self.request.client,
            pid=self.client.pid,
            op=self.op,
            model=self.model,
            state=self.state,
            position=position,
            timing=self._timing or self.ledger.timing(self.clock()),
            error=_failure(self.error) if self.error else None,
        )


def error_info(error: DevsynthError) -> ErrorInfo:
    """Return *error* as it is told."""
    return ErrorInfo(
        code=error.code,
        message=str(error),
        hint=error.hint,
        retryable=error.retryable,
        details=error.details,
    )


def _failure(error: ErrorInfo) -> Failure:
    """Return *error* as others may see it: without what the server or the model has written.

    Servers quote the prompt that they do not like.
    """
    message, written = error.message, error.details.get("message")
    if "path" in error.details:
        message = "the answer does not satisfy `schema`"
    elif error.code == ErrorCode.INCOMPLETE:
        message = f"the answer broke off: {error.details.get('cause')}"
    elif isinstance(written, str) and written:
        message = message.partition(written)[0].rstrip(": ")
    return Failure(error.code, message)
