"""What the events of a completion add up to: deltas on the way, then how it ended."""

import msgspec

from devsynthd.upstream.base import Delta, Ending
from devsynthd.upstream.cleaning import clean
from devsynthd.upstream.completions import Choice, Completion, counts, first_choice
from devsynthd.upstream.entries import usable_id
from devsynthd.upstream.events import EventParser, LineTooLong
from devsynthd.upstream.failures import CONTEXT_HINT, dumps, failure_of, has_error, loads
from devsynthd.upstream.salvage import salvaged
from devsynthd.upstream.tool_calls import ToolCalls, TooManyCalls
from devsynthd.upstream.transport_errors import cut_off
from devsynthd.upstream.usage import usage_of
from devsynthd.wire.errors import DevsynthError, UpstreamError
from devsynthd.wire.objects import Usage

MAX_SAID_BYTES = 2**26
"""As much memory may text, reasoning and tool calls of one answer take, all together. Where one
character is not in ASCII, each takes four bytes, and a long answer is there three times."""

_DECODER = msgspec.json.Decoder(Completion)


class TooLong(ValueError):
    """The answer says more than anybody can want."""


class Answer:
    """One answer, event by event."""

    def __init__(self, *, address: str, secrets: tuple[str, ...] = ()) -> None:
        self.started = False  # a text, a reasoning or a tool call has come
        self.finished = False  # nothing that counts can come any more
        self.done = False  # nothing at all can come any more
        self.failure: DevsynthError | None = None  # what the server says went wrong
        self._address, self._secrets = address, secrets
        self._parser = EventParser()
        self._model: str | None = None
        self._finish_reason: str | None = None
        self._usage: Usage | None = None
        self._calls = ToolCalls()
        self._said_chars, self._char_bytes = 0, 1

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
        except (LineTooLong, TooManyCalls, TooLong) as exc:
            self.failure = self._too_much(exc)
        return deltas

    def whole(self, body: bytes) -> list[Delta]:
        """Return what the one completion in *body* says, of a server that does not stream."""
        deltas: list[Delta] = []
        try:
            self._add(body, deltas)
        except (TooManyCalls, TooLong) as exc:
            self.failure = self._too_much(exc)
        if self.failure is None and not (self.started or self.finished):
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
            tool_calls=self._calls.whole(),
        )

    def _add(self, data: bytes, deltas: list[Delta]) -> None:
        completion = self._completion(data)
        if completion is None:
            return
        if completion.error or completion.object == "error":
            self.failure = self._failure(data)
            return
        if completion.model and completion.model != self._model:
            self._model = usable_id(completion.model) or self._model
        self._usage = usage_of(counts(completion)) or self._usage
        choice = first_choice(completion)
        if choice is None:
            return
        before = len(deltas)
        self._add_choice(choice, deltas)
        self.started = self.started or len(deltas) > before
        if choice.finish_reason:
            self.finished = True
            self._finish_reason = clean(choice.finish_reason, max_chars=64)
            self.done = completion.is_infill  # which has no ``[DONE]``

    def _add_choice(self, choice: Choice, deltas: list[Delta]) -> None:
        message = choice.delta or choice.message
        if message is None:
            if choice.text:
                self._count(choice.text)
                deltas.append(Delta(choice.text))
            return
        reasoning = message.reasoning_content or message.reasoning or ""
        if message.content or reasoning:
            self._count(message.content or "", reasoning)
            deltas.append(Delta(message.content or "", reasoning))
        for position, part in enumerate(message.tool_calls or ()):
            if part.index is None and message is choice.message:
                part.index = position  # a whole answer numbers nothing
            fragment = self._calls.add(part)
            if fragment is not None:
                self._count(fragment.function.arguments)
                deltas.append(Delta(tool_calls=(fragment,)))

    def _count(self, *texts: str) -> None:
        """Note that *texts* have been said.

        Raises:
            TooLong: They are one too many.
        """
        for text in texts:
            self._said_chars += len(text)
            if not text.isascii():
                self._char_bytes = 4
        if self._said_chars * self._char_bytes > MAX_SAID_BYTES:
            raise TooLong(f"{self._said_chars} characters")

    def _completion(self, data: bytes) -> Completion | None:
        """Return what *data* says; ``None`` and perhaps a failure if it says nothing of use."""
        if not data.strip():
            return None
        try:
            return _DECODER.decode(data)
        except (ValueError, RecursionError):
            value = loads(data)
        if isinstance(value, dict):
            return salvaged(value)
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

    def _too_much(self, exc: ValueError) -> UpstreamError:
        return UpstreamError(
            f"{self._address} sent {exc} in its answer", hint="The server's own log may say more."
        )

    def _failure(self, data: bytes) -> DevsynthError:
        value = loads(data)
        if not has_error(value):  # ``event: error`` with any data
            value = {"error": value or data[:4096].decode(errors="replace")}
        return failure_of(
            200,
            "application/json",
            dumps(value).encode(),
            address=self._address,
            secrets=self._secrets,
        )
