"""What the events of a chat completion add up to: deltas on the way, then how it ended."""

import json
from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.upstream.base import Delta, Ending
from devsynthd.upstream.cleaning import clean
from devsynthd.upstream.events import EventParser, LineTooLong
from devsynthd.upstream.failures import CONTEXT_HINT, failure_of, has_error, loads
from devsynthd.upstream.transport_errors import cut_off
from devsynthd.wire.errors import DevsynthError, UpstreamError
from devsynthd.wire.objects import Usage
from devsynthd.wire.requests import FunctionCall, ToolCall


class _Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _CallPart(Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Message(Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_CallPart] | None = None


class _Choice(Struct):
    delta: _Message | None = None
    message: _Message | None = None  # of a server that ignores ``stream``
    finish_reason: str | None = None


class _Completion(Struct):
    """A chunk of a completion, or a whole one: every field may be missing or null."""

    choices: list[_Choice] | None = None
    model: str | None = None
    usage: Any = None
    error: Any = None
    object: Any = None


_DECODER = msgspec.json.Decoder(_Completion)


class Answer:
    """One answer, event by event."""

    def __init__(self, *, address: str, secrets: tuple[str, ...] = ()) -> None:
        self.started = False  # a text, a reasoning or a tool call has come
        self.finished = False  # nothing that counts can come any more
        self.done = False  # ``[DONE]`` has come
        self.failure: DevsynthError | None = None  # what the server says went wrong
        self._address, self._secrets = address, secrets
        self._parser = EventParser()
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._calls: dict[int, _CallPart] = {}

    def feed(self, data: bytes) -> list[Delta]:
        """Return what the bytes *data* of an event stream add; ``failure`` may be set after it."""
        deltas: list[Delta] = []
        try:
            for event in self._parser.feed(data):
                if self.failure is not None or self.done:
                    break
                if event.data == b"[DONE]":
                    self.done = self.finished = True
                elif event.name == b"error":
                    self.failure = self._failure(event.data)
                else:
                    self._add(event.data, deltas)
        except LineTooLong as exc:
            self.failure = UpstreamError(f"{self._address} sent {exc} in its answer")
        return deltas

    def whole(self, body: bytes) -> list[Delta]:
        """Return what the one completion in *body* says, of a server that does not stream."""
        deltas: list[Delta] = []
        self._add(body, deltas)
        if self.failure is None and not (deltas or self.finished or self._calls):
            self.failure = failure_of(
                200, "application/json", body, address=self._address, secrets=self._secrets
            )
        self.done = self.finished = True
        return deltas

    def ending(self) -> Ending:
        """Return how the answer ended, now that nothing more comes.

        Raises:
            UpstreamError: It has no end, or there is nothing in it.
        """
        if not self.finished:
            raise cut_off(self._address)
        counted = self._finish_reason is not None and self._usage is not None
        if not self.started and not (
            counted and self._usage is not None and self._usage.completion_tokens > 0
        ):
            raise UpstreamError(
                f"{self._address} answered with nothing at all",
                hint=f"Some servers do so when the prompt is too long. {CONTEXT_HINT}",
                details={"empty": True},
            )
        return Ending(
            model=self._model,
            finish_reason=self._finish_reason,
            usage=self._usage,
            tool_calls=tuple(
                _call(number, part) for number, (_, part) in enumerate(sorted(self._calls.items()))
            ),
        )

    def _add(self, data: bytes, deltas: list[Delta]) -> None:
        completion = self._completion(data)
        if completion is None:
            return
        if completion.error or completion.object == "error":
            self.failure = self._failure(data)
            return
        self._model = completion.model or self._model
        if completion.usage is not None:
            self._usage = _usage(completion.usage) or self._usage
        if not completion.choices:
            return
        choice = completion.choices[0]
        message = choice.delta or choice.message
        if message is not None:
            text = message.content or ""
            reasoning = message.reasoning_content or message.reasoning or ""
            if text or reasoning:
                self.started = True
                deltas.append(Delta(text, reasoning))
            for part in message.tool_calls or ():
                self._add_call(part)
        if choice.finish_reason:
            self.finished = True
            self._finish_reason = clean(choice.finish_reason, max_chars=64)

    def _add_call(self, part: _CallPart) -> None:
        self.started = True
        index = part.index
        if index is None:  # some servers number nothing: a name begins a call
            begins = not self._calls or (part.function is not None and part.function.name)
            index = max(self._calls, default=-1) + (1 if begins else 0)
        call = self._calls.setdefault(index, _CallPart(function=_Function("", "")))
        call.id = call.id or part.id
        if part.function is not None and call.function is not None:
            call.function.name = call.function.name or part.function.name
            call.function.arguments = f"{call.function.arguments}{part.function.arguments or ''}"

    def _completion(self, data: bytes) -> _Completion | None:
        """Return what *data* says; ``None`` and perhaps a failure if it says nothing of use."""
        if not data.strip():
            return None
        try:
            return _DECODER.decode(data)
        except (ValueError, RecursionError):
            value = loads(data)
        if isinstance(value, dict):
            return _salvaged(value)
        if value is None and data.strip() != b"null":
            self.failure = UpstreamError(
                f"{self._address} sent something in its answer that is not JSON",
                hint="The server's own log may say more.",
                details={
                    "status": 200,
                    "message": clean(data[:4096].decode(errors="replace"), self._secrets),
                },
            )
        return None

    def _failure(self, data: bytes) -> DevsynthError:
        value = loads(data)
        if not has_error(value):  # ``event: error`` with any data
            value = {"error": value or data[:4096].decode(errors="replace")}
        return failure_of(
            200,
            "application/json",
            json.dumps(value).encode(),
            address=self._address,
            secrets=self._secrets,
        )


def _salvaged(value: dict[str, Any]) -> _Completion:
    """Return the fields of *value* that have the right type, and well-formed text in them."""
    choices = value.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return _Completion(
        choices=[_salvaged_choice(choice)] if isinstance(choice, dict) else None,
        model=_text(value.get("model")),
        usage=value.get("usage"),
        error=value.get("error"),
        object=value.get("object"),
    )


def _salvaged_choice(choice: dict[str, Any]) -> _Choice:
    message = choice.get("delta") or choice.get("message")
    if not isinstance(message, dict):
        message = {}
    calls = message.get("tool_calls")
    return _Choice(
        delta=_Message(
            content=_text(message.get("content")),
            reasoning_content=_text(message.get("reasoning_content")),
            reasoning=_text(message.get("reasoning")),
            tool_calls=[_salvaged_call(call) for call in calls if isinstance(call, dict)]
            if isinstance(calls, list)
            else None,
        ),
        finish_reason=_text(choice.get("finish_reason")),
    )


def _salvaged_call(call: dict[str, Any]) -> _CallPart:
    function = call.get("function")
    if not isinstance(function, dict):
        function = {}
    arguments = function.get("arguments")
    if isinstance(arguments, dict):  # some servers forget that it is text
        arguments = json.dumps(arguments)
    index = call.get("index")
    return _CallPart(
        index=index if isinstance(index, int) else None,
        id=_text(call.get("id")),
        function=_Function(_text(function.get("name")), _text(arguments)),
    )


def _text(value: Any) -> str | None:  # noqa: ANN401 - JSON is anything
    """Return *value* if it is text, with U+FFFD for halves of surrogate pairs."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _usage(value: Any) -> Usage | None:  # noqa: ANN401 - JSON is anything
    """Return the counts in *value*, of which one may be missing."""
    if not isinstance(value, dict):
        return None
    prompt, completion, total = (
        count if isinstance(count := value.get(key), int) and 0 <= count < 2**53 else None
        for key in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if prompt is None and completion is None:
        return None
    if prompt is None:
        prompt = max((total or 0) - (completion or 0), 0)
    if completion is None:
        completion = max((total or 0) - prompt, 0)
    return Usage(prompt, completion, prompt + completion if total is None else total)


def _call(number: int, part: _CallPart) -> ToolCall:
    function = part.function or _Function()
    return ToolCall(
        id=part.id or f"call_{number}",
        function=FunctionCall(function.name or "", function.arguments or ""),
    )
