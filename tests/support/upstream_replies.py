"""How the scripted upstream can answer: well, oddly, or not at all."""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from tests.support.upstream_exchange import Exchange, Gate

Reply = Callable[[Exchange], Awaitable[None]]


def piece(
    text: str | None = None, *, finish_reason: str | None = None, model: str = "m", **delta: object
) -> dict[str, Any]:
    """Return one chunk of a streamed completion."""
    content = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1747835957,
        "model": model,
        "choices": [{"index": 0, "delta": {**content, **delta}, "finish_reason": finish_reason}],
    }


def usage(prompt: int = 3, completion: int = 2, *, model: str = "m") -> dict[str, Any]:
    """Return the chunk that carries the counts."""
    counts = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    return {"object": "chat.completion.chunk", "model": model, "choices": [], "usage": counts}


def text_piece(
    text: str, *, finish_reason: str | None = None, index: int | None = 0
) -> dict[str, Any]:
    """Return one chunk of a streamed text completion."""
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": finish_reason}
    return {"id": "cmpl-1", "object": "text_completion", "model": "m", "choices": [choice]}


def infill_piece(text: str) -> dict[str, Any]:
    """Return what llama.cpp's ``/infill`` streams for each token."""
    counts = {"tokens_predicted": 1, "tokens_evaluated": 3}
    return {"index": 0, "content": text, "tokens": [7], "stop": False, "id_slot": 0, **counts}


def infill_end(stop_type: str = "eos", predicted: int = 2) -> dict[str, Any]:
    """Return the last event of ``/infill``: no ``[DONE]`` follows it."""
    return {
        "index": 0,
        "content": "",
        "stop": True,
        "model": "m",
        "stop_type": stop_type,
        "tokens_predicted": predicted,
        "tokens_evaluated": 3,
        "generation_settings": {"stop": [], "stream": True},
        "timings": {"prompt_n": 3},
    }


def vectors(*rows: object, order: Sequence[int] | None = None) -> Reply:
    """Answer with the vectors *rows*, numbered, perhaps in another *order*."""
    entries = [
        {"object": "embedding", "embedding": row, "index": index} for index, row in enumerate(rows)
    ]
    return status(
        200,
        {
            "object": "list",
            "data": [entries[index] for index in order or range(len(rows))],
            "model": "m@f16",
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        },
    )


def tokens(*texts: str, gate: Gate | None = None, model: str | None = None) -> Reply:
    """Answer with *texts* as events, then the usage and ``[DONE]``; each waits for *gate*.

    The answer names the model that was asked for unless *model* is given.
    """

    async def reply(exchange: Exchange) -> None:
        named = model or str(exchange.body.get("model"))
        await exchange.head()
        for text in texts:
            if gate is not None:
                await gate.pass_one()
            await exchange.event(piece(text, model=named))
        if gate is not None:
            await gate.pass_one()
        await exchange.event(piece(finish_reason="stop", model=named))
        await exchange.event(usage(completion=len(texts), model=named))
        await exchange.event("[DONE]")
        await exchange.end()

    return reply


def events(*values: object, end: bool = True) -> Reply:
    """Answer with these events, JSON values or text; without *end* the connection is cut then."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        for value in values:
            await exchange.event(value)
        await (exchange.end() if end else _cut(exchange))

    return reply


def silence() -> Reply:
    """Take the request and never answer."""

    async def reply(_: Exchange) -> None:
        await asyncio.Event().wait()

    return reply


def silence_after(*texts: str) -> Reply:
    """Send the head of an answer and *texts*, perhaps none, then nothing more."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        for text in texts:
            await exchange.event(piece(text))
        await asyncio.Event().wait()

    return reply


def reset_after(*texts: str) -> Reply:
    """Reset the connection after *texts*; without any, before the head of the answer."""

    async def reply(exchange: Exchange) -> None:
        if texts:
            await exchange.head()
        for text in texts:
            await exchange.event(piece(text))
        exchange.reset()

    return reply


def cut_after(*texts: str) -> Reply:
    """Close the connection in an orderly way after *texts*, without an end of the answer."""
    return events(*(piece(text) for text in texts), end=False)


def error_event(*texts: str, error: object, name: str = "") -> Reply:
    """Send *texts*, then an event with *error*, then keep the connection open and silent."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        for text in texts:
            await exchange.event(piece(text))
        await exchange.event({"error": error}, name)
        await asyncio.Event().wait()

    return reply


def huge_line(size: int) -> Reply:
    """Send one event with *size* bytes of text in it."""
    return events(piece("x" * size), piece(finish_reason="stop"), "[DONE]")


def flood(text: str = "x" * 1000) -> Reply:
    """Send one event after the other for as long as the client reads."""

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        while True:
            await exchange.event(piece(text))

    return reply


def status(code: int, body: object, content_type: str = "application/json") -> Reply:
    """Answer with the status *code* and *body*, bytes or a JSON value."""

    async def reply(exchange: Exchange) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        await exchange.whole(code, content_type, data)

    return reply


def html(code: int = 200) -> Reply:
    """Answer with a web page."""
    return status(code, b"<!doctype html><title>Welcome</title>", "text/html; charset=utf-8")


def unauthorized() -> Reply:
    """Refuse the key as LM Studio does, with a part of it in the text."""

    async def reply(exchange: Exchange) -> None:
        offered = exchange.headers.get("authorization", "")
        error = {
            "type": "invalid_request",
            "code": "invalid_api_key",
            "message": f"Malformed LM Studio API token provided: {offered}",
        }
        await status(401, {"error": error})(exchange)

    return reply


def raw(*parts: bytes) -> Reply:
    """Send these bytes, head and all, and close the connection."""

    async def reply(exchange: Exchange) -> None:
        for part in parts:
            await exchange.send(part)
        exchange.cut()

    return reply


def in_turn(*replies: Reply) -> Reply:
    """Answer the first time as the first of *replies* does, and so on; then as the last one."""
    left = deque(replies)

    async def reply(exchange: Exchange) -> None:
        await (left.popleft() if len(left) > 1 else left[0])(exchange)

    return reply


def redirect(location: str, code: int = 307) -> Reply:
    """Send the client elsewhere."""

    async def reply(exchange: Exchange) -> None:
        await exchange.whole(code, "text/plain", b"", [("Location", location)])

    return reply


def completion(text: str, *, model: str = "m") -> Reply:
    """Answer as a server that does not stream: one JSON object."""
    value = {
        "object": "chat.completion",
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": text, "tool_calls": []},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    return status(200, value)


async def _cut(exchange: Exchange) -> None:
    exchange.cut()
