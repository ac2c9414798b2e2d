"""One request of a soak as its client sees it: what has come, and what is wrong with it. Pure."""

from dataclasses import dataclass, field
from typing import Any

from msgspec import Struct, to_builtins

from devsynthctl.errors import ConnectionLost
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import ErrorInfo, Timing
from devsynthd.wire.replies import Chunk, Progress
from devsynthd.wire.requests import RequestId
from devsynthd.wire.results import (
    AnyResult,
    CancelOutcome,
    Completion,
    Embeddings,
    Models,
    StatusReport,
)
from tests.soak.plan import NONSENSE, Order
from tests.soak.script import (
    ANSWERED,
    CHAT_MODELS,
    OUTCOMES,
    SENT_TWICE,
    VECTOR_MODEL,
    Delta,
    Kind,
    calls_of,
    deltas_of,
    reasoning_of,
    text_of,
    vectors_of,
)

LATE_S = 20.0  # for a deadline on a busy machine
TIMING_S = 0.001
MAX_SHOWN = 120

LOST = str(ConnectionLost.code)

_BY_OUTAGE = {ErrorCode.UPSTREAM_UNAVAILABLE, ErrorCode.UPSTREAM_ERROR, ErrorCode.INCOMPLETE}
_BY_RESTART = {LOST, ErrorCode.SHUTTING_DOWN, ErrorCode.CANCELLED}
_WITH_TEXT = {ErrorCode.CANCELLED, ErrorCode.DEADLINE_EXCEEDED, ErrorCode.INCOMPLETE}
_RETRYABLE = {
    ErrorCode.UPSTREAM_UNAVAILABLE,
    ErrorCode.UPSTREAM_TIMEOUT,
    ErrorCode.INCOMPLETE,
    ErrorCode.QUEUE_FULL,
    ErrorCode.SHUTTING_DOWN,
    LOST,
}
_BEFORE_AN_ANSWER = {"queued", "waiting", "loading"}


class Trouble(Struct, frozen=True):
    """Whether the upstream, or the daemon itself, was away while a request was under way."""

    upstream: bool = False
    daemon: bool = False


@dataclass(slots=True)
class Entry:
    """A request that was sent at *sent_at*; every method returns what is wrong, in words.

    *target* is what it cancels, if that is its business, and *again* says that it is not the first
    to do so. *number* is the daemon's own, *tokens* are what its result counts, and *outcome* is
    how it ended.
    """

    order: Order
    id: RequestId
    sent_at: float
    target: "Entry | None" = None
    again: bool = False
    number: int | None = None
    cancels: int = 0
    chunks: int = 0
    tokens: int = 0
    outcome: str | None = None
    deltas: list[Delta] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.order} (id {self.id!r})"

    @property
    def kind(self) -> Kind | None:
        """What the upstream does for it."""
        return None if self.order.script is None else self.order.script.kind

    # On the way ----------------------------------------------------------------------------

    def take_chunk(self, chunk: Chunk) -> list[str]:
        """Note a piece of the answer."""
        problems = _unlike("the number of a chunk", chunk.seq, self.chunks)
        if not self.order.fields.get("stream"):
            problems.append("a chunk came, which it did not ask for")
        self.chunks += 1
        delta: Delta = {"content": chunk.text, "reasoning_content": chunk.reasoning}
        self.deltas.append({**delta, "tool_calls": to_builtins(chunk.tool_calls)})
        return problems

    def take_progress(self, progress: Progress) -> list[str]:
        """Note how far it is."""
        problems = []
        if not self.order.fields.get("progress"):
            problems.append("progress came, which it did not ask for")
        if self.chunks or progress.state not in _BEFORE_AN_ANSWER:
            problems.append(f"it is {progress.state} after {self.chunks} chunks")
        if self.number is not None:
            problems += _unlike("the daemon's number", progress.request, self.number)
        self.number = progress.request
        return problems

    # The end -------------------------------------------------------------------------------

    @property
    def most_arrivals(self) -> int:
        """How often the upstream may be asked for it while nothing is away."""
        return 1 + (self.kind in SENT_TWICE)

    def take_result(
        self, result: AnyResult, now: float, arrivals: int, trouble: Trouble
    ) -> list[str]:
        """Note the result, after *arrivals* at the upstream."""
        problems = self._end(ANSWERED, now, arrivals, trouble)
        match result:
            case Completion():
                self.tokens = result.usage.completion_tokens if result.usage else 0
                problems += self._wrong_completion(result, now)
            case Embeddings():
                texts = self.order.fields["input"]
                problems += _unlike("its vectors", result.embeddings, vectors_of(texts))
                problems += _unlike("its model", result.model, VECTOR_MODEL)
            case CancelOutcome():
                problems += [] if trouble.daemon else self._wrong_cancel(cancelled=result.cancelled)
            case StatusReport(queue=queue) if queue.running > queue.max_concurrency:
                problems.append(f"{queue.running} run, of at most {queue.max_concurrency}")
            case Models():
                ids = tuple(model.id for model in result.models)
                if not trouble.upstream:
                    problems += _unlike("the models", ids, (*CHAT_MODELS, VECTOR_MODEL))
            case _:
                pass
        return problems

    def take_error(
        self, error: ErrorInfo, now: float, arrivals: int, trouble: Trouble
    ) -> list[str]:
        """Note the error, as ``take_result`` does."""
        problems = self._end(error.code, now, arrivals, trouble)
        if problems:
            problems.append(f"it says: {error.message}")
        if not error.message:
            problems.append("its error says nothing")
        problems += _unlike("whether it can be retried", error.retryable, error.code in _RETRYABLE)
        if self.order.script is not None:
            problems += self._wrong_text(error)
        return problems

    def _end(self, outcome: str, now: float, arrivals: int, trouble: Trouble) -> list[str]:
        self.outcome = outcome
        problems = []
        permitted = self._permitted(trouble)
        if outcome not in permitted:
            wanted = " or ".join(sorted(permitted)) or "no end"
            problems.append(f"expected {wanted}, came {outcome}")
        at_most = self.most_arrivals + trouble.upstream
        if arrivals > at_most:
            problems.append(f"the upstream was asked {arrivals} times, expected at most {at_most}")
        timeout_s = self.order.fields.get("timeout")
        if timeout_s is not None:
            took_s = now - self.sent_at
            is_early = outcome == ErrorCode.DEADLINE_EXCEEDED and took_s < timeout_s
            if is_early or (took_s > timeout_s + LATE_S and not trouble.daemon):
                problems.append(f"it had {timeout_s:.3f} s and ended after {took_s:.3f} s")
        return problems

    def _permitted(self, trouble: Trouble) -> set[str]:
        """Return how it may end."""
        permitted: set[str] = set(_BY_RESTART) if trouble.daemon else set()
        if self.order.op == NONSENSE:
            return permitted | {ErrorCode.BAD_REQUEST}
        kind, may_end = self.kind, self.order.may_end
        if kind is None and may_end is None:
            return permitted | {ANSWERED}
        if trouble.upstream:
            permitted |= _BY_OUTAGE
        if may_end is not None:
            return permitted | may_end
        if kind is not None and (by_itself := OUTCOMES[kind]) is not None:
            permitted.add(by_itself)
        if self.cancels:
            permitted.add(ErrorCode.CANCELLED)
        if "timeout" in self.order.fields:
            permitted.add(ErrorCode.DEADLINE_EXCEEDED)
        return permitted

    def _wrong_completion(self, result: Completion, now: float) -> list[str]:
        script = self.order.script
        if script is None:
            return self._wrong_stand_in(result)
        wanted = deltas_of(script)
        heard = self.deltas if self.order.fields.get("stream") else wanted
        calls = calls_of(wanted)
        problems = [
            *_unlike("its text", result.text, text_of(wanted)),
            *_unlike("its chunks", text_of(heard), result.text),
            *_unlike("its reasoning", result.reasoning or "", reasoning_of(wanted)),
            *_unlike("the reasoning of its chunks", reasoning_of(heard), result.reasoning or ""),
            *_unlike("its tool calls", result.tool_calls, calls),
            *_unlike("the tool calls of its chunks", calls_of(heard), calls),
            *self._wrong_model(result.model),
            *_unlike("its finish reason", result.finish_reason, "stop"),
            *_unlike("its warnings", result.warnings, ()),
            *_unlike("whether the engine stood in", result.fallback, wanted=False),
            *_unlike("its tokens", self.tokens, len(wanted)),
        ]
        return problems + _wrong_timing(result.timing, now - self.sent_at)

    def _wrong_model(self, model: str) -> list[str]:
        may_be = (self.order.fields["model"],) if "model" in self.order.fields else CHAT_MODELS
        return [] if model in may_be else [f"its model: expected one of {may_be}, came {model}"]

    def _wrong_stand_in(self, result: Completion) -> list[str]:
        """Return what is wrong with an answer of the engine, whose words are its own."""
        problems = [
            *_unlike("its model", result.model, self.order.fields.get("model")),
            *_unlike("whether the engine stood in", result.fallback, wanted=True),
        ]
        return problems if result.text else [*problems, "it says nothing"]

    def _wrong_cancel(self, *, cancelled: bool) -> list[str]:
        target = self.target
        if target is None:
            return []
        if target.outcome is None:
            return [f"it was answered before {target}, its target, was"]
        was_cancelled = target.outcome == ErrorCode.CANCELLED
        if cancelled == was_cancelled or (self.again and not cancelled):
            return []
        return [f"it says {cancelled}, and {target}, its target, ended as {target.outcome}"]

    def _wrong_text(self, error: ErrorInfo) -> list[str]:
        """Return what is wrong with what came before *error*, and what it tells of that."""
        script = self.order.script
        wanted = () if script is None else deltas_of(script)
        heard = text_of(self.deltas)
        problems = []
        if not text_of(wanted).startswith(heard):
            problems += _unlike("the start of its text", heard, text_of(wanted))
        if not reasoning_of(wanted).startswith(reasoning_of(self.deltas)):
            came = reasoning_of(self.deltas)
            problems += _unlike("the start of its reasoning", came, reasoning_of(wanted))
        told = error.details.get("text")
        if error.code == LOST:
            pass  # a client of ours tells what has come, the others have seen it
        elif error.code in _WITH_TEXT:
            if self.order.fields.get("stream"):
                problems += _unlike("the text of its error", told, heard)
            elif not text_of(wanted).startswith(str(told)):
                problems += _unlike("the start of the text of its error", told, text_of(wanted))
        elif told:  # what breaks its schema; our clients say "" where nothing came
            problems += _unlike("the text of its error", told, text_of(wanted))
        return problems


def _wrong_timing(timing: Timing, took_s: float) -> list[str]:
    parts = (timing.queued_s, timing.waiting_s, timing.streaming_s)
    problems = []
    if abs(sum(parts) - timing.total_s) > TIMING_S:
        problems.append(f"its times {parts} do not add up to {timing.total_s}")
    if min(parts) < 0 or timing.total_s > took_s + TIMING_S:
        problems.append(f"its times {parts} cannot be: it took {took_s} s")
    return problems


def _unlike(what: str, came: Any, wanted: Any) -> list[str]:  # noqa: ANN401 - anything that compares
    """Return that *came* is not what was *wanted*, if so."""
    return [] if came == wanted else [f"{what}: expected {_short(wanted)}, came {_short(came)}"]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text)} characters)"
