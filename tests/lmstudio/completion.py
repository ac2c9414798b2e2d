"""Answers of a model as ``/v1`` and ``/api/v0`` put them: whole, or as a stream of chunks.

What surprises those who know OpenAI's API:

- ``model`` names the instance that answered, which may be another than the one asked for.
- ``tool_calls`` is there without tools, as ``[]`` (in 0.3.6 and later).
- Reasoning is in ``reasoning_content``, or in ``reasoning``, or in ``<think>`` tags; ``content``
  may be empty then.
- In a stream, ``usage`` comes only if ``stream_options.include_usage`` asked for it: in a last
  chunk whose ``choices`` is ``[]``.
- A stream ends with ``data: [DONE]``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from tests.lmstudio.models import Instance
from tests.support.upstream_exchange import Gate

Json = dict[str, Any]
ReasoningAs = Literal["reasoning_content", "reasoning", "think"]

STOP_REASONS = {
    "stop": "eosFound",
    "length": "maxPredictedTokensReached",
    "tool_calls": "toolCalls",
}


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A function that the model wants called. LM Studio was seen to leave *id* empty."""

    name: str
    arguments: tuple[str, ...] = ("{", "}")  # fragments of JSON text, one a chunk
    id: str = "365174485"

    def whole(self) -> Json:
        """Return it as it stands in a message."""
        function = {"name": self.name, "arguments": "".join(self.arguments)}
        return {"id": self.id, "type": "function", "function": function}

    def deltas(self, index: int) -> Iterator[Json]:
        """Yield it as it stands in a stream: the name first, then the arguments bit by bit."""
        function = {"name": self.name, "arguments": ""}
        yield {"index": index, "id": self.id, "type": "function", "function": function}
        for fragment in self.arguments:
            yield {"index": index, "function": {"arguments": fragment}}


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the model says next, and when.

    With a *prompt* gate the model reads the prompt until the gate opens; a stream has its head by
    then, but nothing else. With a *gate*, each token of an answer and its end wait for that.
    """

    texts: tuple[str, ...] = ("Hello", " world")
    reasoning: tuple[str, ...] = ()
    reasoning_as: ReasoningAs = "reasoning_content"
    tool_calls: tuple[ToolCall, ...] = ()
    infill: tuple[str, ...] = ()  # the texts, where a suffix is asked for and honoured
    finish_reason: str | None = None  # by default what the rest suggests
    model: str | None = None  # whom the answer names, if not the instance that gives it
    prompt: Gate | None = None
    gate: Gate | None = None
    pause_s: float = 0.0  # before each token, for a person who watches


@dataclass(frozen=True, kw_only=True)
class Request:
    """What of a request's body matters here."""

    model: str
    prompt_tokens: int
    stream: bool
    include_usage: bool
    max_tokens: int | None
    suffix: str | None
    ttl_s: float | None


@dataclass(frozen=True, kw_only=True)
class Head:
    """What all chunks of one answer have in common."""

    id: str
    created: int
    model: str
    chat: bool  # else a plain completion

    def chunk(self, delta: Json, finish_reason: str | None = None) -> Json:
        """Return one chunk of a stream."""
        choice: Json = {"index": 0}
        if self.chat:
            choice["delta"] = delta
        else:
            choice["text"] = delta.get("content", "")
        choice |= {"logprobs": None, "finish_reason": finish_reason}
        return self._chunk([choice])

    def usage_chunk(self, usage: Json) -> Json:
        """Return the last chunk, without a choice."""
        return self._chunk([]) | {"usage": usage}

    def _chunk(self, choices: list[Json]) -> Json:
        return {
            "id": self.id,
            "object": "chat.completion.chunk" if self.chat else "text_completion",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.model,
            "choices": choices,
        }


def limited(answer: Answer, request: Request, *, honours_suffix: bool) -> Answer:
    """Return *answer* cut to what *request* allows, with its finish reason."""
    if request.suffix and honours_suffix and answer.infill:
        answer = replace(answer, texts=answer.infill)
    limit = request.max_tokens
    if limit is not None and 0 <= limit < len(answer.reasoning) + len(answer.texts):
        # Thinking counts: it can use up all that was allowed.
        left = max(0, limit - len(answer.reasoning))
        answer = replace(
            answer,
            reasoning=answer.reasoning[:limit],
            texts=answer.texts[:left],
            tool_calls=(),
            finish_reason=answer.finish_reason or "length",
        )
    return replace(
        answer,
        finish_reason=answer.finish_reason or ("tool_calls" if answer.tool_calls else "stop"),
    )


def deltas(answer: Answer) -> Iterator[Json]:
    """Yield what a stream says, a token each; the role is repeated in every one."""
    for text in _thoughts(answer):
        yield {"role": "assistant", **text}
    for content in answer.texts:
        yield {"role": "assistant", "content": content}
    for index, call in enumerate(answer.tool_calls):
        for delta in call.deltas(index):
            yield {"role": "assistant", "tool_calls": [delta]}


def message(answer: Answer, *, tool_calls_always: bool) -> Json:
    """Return what a whole chat answer says; ``content`` is absent beside calls of tools."""
    said: Json = {"role": "assistant"}
    joined: dict[str, str] = {}
    for piece in [*_thoughts(answer), *({"content": text} for text in answer.texts)]:
        for field, text in piece.items():
            joined[field] = joined.get(field, "") + text
    if not answer.tool_calls:
        joined.setdefault("content", "")
    said |= joined
    if answer.tool_calls or tool_calls_always:
        said["tool_calls"] = [call.whole() for call in answer.tool_calls]
    return said


def whole(head: Head, answer: Answer, usage: Json, *, tool_calls_always: bool) -> Json:
    """Return a whole answer."""
    choice: Json = {"index": 0}
    if not head.chat:
        choice["text"] = "".join(answer.texts)
    choice |= {"logprobs": None, "finish_reason": answer.finish_reason}
    if head.chat:
        choice["message"] = message(answer, tool_calls_always=tool_calls_always)
    body: Json = {
        "id": head.id,
        "object": "chat.completion" if head.chat else "text_completion",
        "created": head.created,
        "model": head.model,
        "choices": [choice],
        "usage": usage,
    }
    return body | {"stats": {}, "system_fingerprint": head.model} if head.chat else body


def v0_extras(answer: Answer, instance: Instance) -> Json:
    """Return what ``/api/v0`` adds to a whole answer."""
    model = instance.model
    return {
        "stats": {
            "tokens_per_second": 51.43,
            "time_to_first_token": 0.111,
            "generation_time": 0.954,
            "stop_reason": STOP_REASONS.get(answer.finish_reason or "", "failed"),
        },
        "model_info": {
            "arch": model.arch,
            "quant": model.quantization,
            "format": model.format,
            "context_length": instance.config.context_length,
        },
        "runtime": {
            "name": f"simulated-{model.format}",
            "version": "1.0.0",
            "supported_formats": [model.format],
        },
    }


def words(text: str) -> tuple[str, ...]:
    """Return *text* in pieces such as tokens are: a word each, with the space before it."""
    first, *rest = text.split(" ")
    return (first, *(f" {word}" for word in rest))


def counts(answer: Answer, prompt_tokens: int) -> Json:
    """Return the usage: every text of *answer* counts as one token."""
    written = sum(1 for _ in deltas(answer))
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": written,
        "total_tokens": prompt_tokens + written,
    }


def _thoughts(answer: Answer) -> list[dict[str, str]]:
    if not answer.reasoning:
        return []
    if answer.reasoning_as == "think":
        tagged = ["<think>", *answer.reasoning, "</think>"]
        return [{"content": text} for text in tagged]
    return [{answer.reasoning_as: text} for text in answer.reasoning]
