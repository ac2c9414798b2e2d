"""What a request has the scripted upstream do, and what must come of it. Pure.

The prompt itself is the script, as JSON: the upstream and the client need nothing else to agree on
every byte of the answer.
"""

import random
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.requests import FunctionCall, ToolCall

CHAT_MODELS, VECTOR_MODEL = ("m", "n"), "e"
ANSWERED = "answered"  # all other outcomes are error codes

Delta = dict[str, Any]


class Kind(StrEnum):
    """What the upstream does."""

    TEXT = "text"
    REASONING = "reasoning"
    TOOLS = "tools"
    FITTING = "fitting"  # JSON as ``SCHEMA`` has it
    MISFITTING = "misfitting"
    NO_DONE = "no_done"  # complete, but without the line that says so
    RELOADED = "reloaded"  # "Model reloaded." the first time, then as ``TEXT``
    STATUS_500 = "status_500"
    CHANNEL_ERROR = "channel_error"
    ERROR_FIRST = "error_first"  # in the stream, before any word
    ERROR_LATER = "error_later"
    RESET_FIRST = "reset_first"  # of the connection
    RESET_LATER = "reset_later"
    UNFINISHED = "unfinished"  # the stream ends in good order, the answer does not
    EMPTY = "empty"
    SILENT = "silent"  # before the head, until somebody hangs up
    SILENT_LATER = "silent_later"
    LONG_LINE = "long_line"
    VECTORS = "vectors"
    BAD_VECTORS = "bad_vectors"


OUTCOMES: dict[Kind, str | None] = {
    **dict.fromkeys(Kind, ANSWERED),
    **dict.fromkeys(
        (
            Kind.MISFITTING,
            Kind.STATUS_500,
            Kind.CHANNEL_ERROR,
            Kind.ERROR_FIRST,
            Kind.EMPTY,
            Kind.LONG_LINE,
            Kind.BAD_VECTORS,
        ),
        ErrorCode.UPSTREAM_ERROR,
    ),
    **dict.fromkeys((Kind.ERROR_LATER, Kind.RESET_LATER, Kind.UNFINISHED), ErrorCode.INCOMPLETE),
    Kind.RESET_FIRST: ErrorCode.UPSTREAM_UNAVAILABLE,
    **dict.fromkeys((Kind.SILENT, Kind.SILENT_LATER), None),
}
"""How each kind ends if nobody interferes; null: not at all."""

SENT_TWICE = {Kind.RELOADED, Kind.RESET_FIRST}
"""What the daemon may ask twice: a fault that passes, and a kept connection that broke at once."""

WITHOUT_WORDS = {Kind.EMPTY, Kind.LONG_LINE, Kind.ERROR_FIRST}

SCHEMA = {
    "type": "object",
    "properties": {"n": {"type": "integer"}, "text": {"type": "string"}},
    "required": ["n", "text"],
}
TOOLS = [{"type": "function", "function": {"name": "look_up", "parameters": {"type": "object"}}}]

_WORDS = (
    "lighthouse ",
    "Stra\u00dfe ",
    "na\u00efve ",
    "\u65e5\u672c\u8a9e",
    "\U0001f469\u200d\U0001f52c ",
    "e\u0301",
    "\u05e9\u05dc\u05d5\u05dd ",
    "\u2028",
    "\r\n",
    "\t",
    "\0",
    '"quoted" ',
    "back\\slash ",
    "data: ",
    "[DONE]",
    "</think>",
)


class Script(Struct, frozen=True, kw_only=True):
    """One answer: *pieces* of it, so many a second; *key* decides what they say.

    What goes wrong, if anything, goes wrong after *good_pieces*.
    """

    key: str
    kind: Kind
    pieces: int
    good_pieces: int
    pieces_per_s: float

    def as_prompt(self) -> str:
        """Return the prompt that asks for it."""
        return msgspec.json.encode(self).decode()


def script_in(prompt: str) -> Script:
    """Return what *prompt* asks for."""
    return msgspec.json.decode(prompt, type=Script)


def deltas_of(script: Script) -> tuple[Delta, ...]:
    """Return all that a chat says, piece by piece in OpenAI form, if nothing goes wrong."""
    if script.kind in WITHOUT_WORDS:
        return ()
    if script.kind is Kind.TOOLS:
        return _tool_deltas(script)
    if script.kind in {Kind.FITTING, Kind.MISFITTING}:
        number = 7 if script.kind is Kind.FITTING else "seven"
        value = {"n": number, "text": "".join(words(script.key, script.pieces))}
        texts = _cut(msgspec.json.encode(value).decode(), script.pieces)
    else:
        texts = words(script.key, script.pieces)
    thoughts = script.pieces // 2 if script.kind is Kind.REASONING else 0
    return tuple(
        {"reasoning_content" if position < thoughts else "content": text}
        for position, text in enumerate(texts)
    )


def words(key: str, count: int) -> list[str]:
    """Return *count* pieces of text, always the same for *key*."""
    return chance(key).choices(_WORDS, k=count)


def text_of(deltas: Iterable[Delta]) -> str:
    """Return the text that *deltas* add up to."""
    return "".join(delta.get("content", "") for delta in deltas)


def reasoning_of(deltas: Iterable[Delta]) -> str:
    """Return the reasoning that *deltas* add up to."""
    return "".join(delta.get("reasoning_content", "") for delta in deltas)


def calls_of(deltas: Iterable[Delta]) -> tuple[ToolCall, ...]:
    """Return the tool calls that *deltas* add up to."""
    ids: dict[int, str] = {}
    names: dict[int, str] = {}
    arguments: dict[int, list[str]] = {}
    for part in (part for delta in deltas for part in delta.get("tool_calls", ())):
        index, function = part["index"], part["function"]
        ids.setdefault(index, part.get("id") or "")
        names.setdefault(index, function.get("name") or "")
        arguments.setdefault(index, []).append(function.get("arguments") or "")
    return tuple(
        ToolCall(id=ids[index], function=FunctionCall(names[index], "".join(arguments[index])))
        for index in sorted(ids)
    )


def vectors_of(texts: Sequence[str]) -> tuple[tuple[float, ...], ...]:
    """Return a vector a text."""
    return tuple(tuple(chance(text).uniform(-1, 1) for _ in range(8)) for text in texts)


def chance(seed: int | str) -> random.Random:
    """Return a source of chance that is the same for the same *seed*."""
    return random.Random(seed)  # noqa: S311 - it guards nothing


def _tool_deltas(script: Script) -> tuple[Delta, ...]:
    """Return one call, or two: each is opened, then its arguments come in pieces."""
    deltas: list[Delta] = []
    for index in range(1 + script.pieces % 2):
        opening = {"id": f"{script.key}-{index}", "type": "function"}
        function = {"name": "look_up", "arguments": ""}
        deltas.append({"tool_calls": [{"index": index, **opening, "function": function}]})
        value = {"q": "".join(words(f"{script.key}-{index}", script.pieces))}
        deltas.extend(
            {"tool_calls": [{"index": index, "function": {"arguments": text}}]}
            for text in _cut(msgspec.json.encode(value).decode(), script.pieces)
        )
    return tuple(deltas)


def _cut(text: str, pieces: int) -> list[str]:
    """Return *text* in at most *pieces* parts, none of them empty."""
    length = -(-len(text) // pieces)
    return [text[start : start + length] for start in range(0, len(text), length)]
