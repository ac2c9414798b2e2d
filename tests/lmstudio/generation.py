"""Completions and embeddings: the routes that need a model, and may load one.

The order of things explains where an error turns up. First the body is read, then a model is found
and perhaps loaded: what fails until here has a status of its own. Then a stream's head is sent,
with status 200, and only then the prompt is read: what fails from here on is inside the stream.
"""

import asyncio
import json
import threading
from dataclasses import replace
from itertools import count
from typing import Any

from tests.lmstudio import completion, errors, intake
from tests.lmstudio.completion import Answer, Head, Request
from tests.lmstudio.engine import Engine, Interrupted, LoadFailed, Place
from tests.lmstudio.models import Instance
from tests.lmstudio.quirks import Quirks
from tests.lmstudio.script import Script
from tests.lmstudio.world import Refusal, World
from tests.support.upstream_exchange import Exchange


class Generation:
    """Answers what needs a model."""

    def __init__(
        self, world: World, quirks: Quirks, script: Script, engine: Engine, lock: threading.RLock
    ) -> None:
        self._world, self._quirks, self._script = world, quirks, script
        self._engine, self._lock = engine, lock
        self._numbers = count(1)

    async def chat(self, exchange: Exchange) -> None:
        """Answer ``chat/completions``."""
        await self._complete(exchange, chat=True)

    async def complete(self, exchange: Exchange) -> None:
        """Answer ``completions``."""
        await self._complete(exchange, chat=False)

    async def embed(self, exchange: Exchange) -> None:
        """Answer ``embeddings``: small vectors that depend on the text's length only."""
        body = intake.json_object(exchange.raw_body)
        given = body.get("input")
        texts = [given] if isinstance(given, str) else given
        if not isinstance(texts, list) or not texts:
            raise errors.plain("'input' field is required")
        name = str(body.get("model", ""))
        instance = self._instance(name, body.get("ttl"), embeds=True)
        try:
            async with self._engine.place(instance):
                quantization = instance.model.quantization
        except LoadFailed as exc:
            raise errors.load_failed(name, str(exc), self._world.generation) from exc
        except Interrupted as exc:
            raise errors.plain(str(exc)) from exc
        entries = [
            {"object": "embedding", "embedding": _vector(text), "index": index}
            for index, text in enumerate(texts)
        ]
        suffix = f"@{quantization.lower()}" if quantization else ""
        await send_json(
            exchange,
            {
                "object": "list",
                "data": entries,
                "model": instance.id + suffix,
                "usage": {"prompt_tokens": 0, "total_tokens": 0},  # as in the vendor's example
            },
        )

    async def _complete(self, exchange: Exchange, *, chat: bool) -> None:
        body = intake.json_object(exchange.raw_body)
        request = intake.read_request(body, chat=chat)
        answer = self._script.next_answer()
        if self._script.echo:
            said = completion.words(f"You said: {intake.last_text(body)}")
            answer = replace(answer, texts=said)
        answer = completion.limited(answer, request, honours_suffix=self._quirks.honours_suffix)
        instance = self._instance(request.model, request.ttl_s, embeds=False)
        try:
            async with self._engine.place(instance) as place:
                if request.stream:
                    await self._stream(exchange, request, answer, place, chat=chat)
                else:
                    await self._whole(exchange, request, answer, place, chat=chat)
        except LoadFailed as exc:
            generation = self._world.generation
            raise errors.load_failed(request.model, str(exc), generation) from exc
        except Interrupted as exc:
            raise errors.plain(str(exc)) from exc

    async def _whole(
        self, exchange: Exchange, request: Request, answer: Answer, place: Place, *, chat: bool
    ) -> None:
        overflow = self._overflow(request, place.instance)
        if overflow is not None:
            raise errors.plain(overflow)
        if answer.prompt is not None:
            await place.read_prompt(answer.prompt)
        for _ in [*completion.deltas(answer), "the end"]:
            await self._token_time(answer, place)
        head = self._head(answer, place.instance, chat=chat)
        value = completion.whole(
            head,
            answer,
            completion.counts(answer, request.prompt_tokens),
            tool_calls_always=self._world.generation != "openai",
        )
        if exchange.path.startswith("/api/v0/"):
            value |= completion.v0_extras(answer, place.instance)
        await send_json(exchange, value)

    async def _stream(
        self, exchange: Exchange, request: Request, answer: Answer, place: Place, *, chat: bool
    ) -> None:
        head = self._head(answer, place.instance, chat=chat)
        await exchange.head()
        try:
            overflow = self._overflow(request, place.instance)
            if answer.prompt is not None:
                await place.read_prompt(answer.prompt)
            if overflow is not None and self._quirks.overflow == "frame":
                await self._error(exchange, overflow)
                return
            if overflow is not None:
                answer = replace(answer, texts=(), reasoning=(), tool_calls=())
            for delta in completion.deltas(answer):
                await self._token_time(answer, place)
                await exchange.event(head.chunk(delta))
            await self._token_time(answer, place)
        except Interrupted as exc:
            if self._quirks.interruption == "cut":
                exchange.cut()
            else:
                await self._error(exchange, str(exc))
            return
        await exchange.event(head.chunk({}, answer.finish_reason))
        # 0.3.18 learned to count in streams; before, the option was ignored.
        if request.include_usage and self._world.generation != "openai":
            usage = completion.counts(answer, request.prompt_tokens)
            await exchange.event(head.usage_chunk(usage))
        await exchange.event("[DONE]")
        await exchange.end()

    async def _error(self, exchange: Exchange, text: str) -> None:
        error = {"message": text, "type": "invalid_request_error"}
        await exchange.event({"error": error}, "error" if self._quirks.named_errors else "")
        if self._quirks.done_after_error:
            await exchange.event("[DONE]")
        await exchange.end()

    def _instance(self, name: str, ttl_s: float | None, *, embeds: bool) -> Instance:
        """Return who answers to *name*, with its load begun if it needs one."""
        with self._lock:
            found = self._world.resolve(name, embeds=embeds)
            if isinstance(found, Refusal):
                known = [model.key for model in self._world.models]
                raise errors.no_model(name, found, known, self._world.generation)
            if not isinstance(found, Instance):
                idle_s = self._world.settings.ttl_s if ttl_s is None else ttl_s
                found = self._world.begin_load(found, ttl_s=idle_s)
            self._world.use(found)
            return found

    def _overflow(self, request: Request, instance: Instance) -> str | None:
        """Return the words for a prompt that does not fit; each word of it is a token."""
        context = instance.config.context_length
        if request.prompt_tokens < context:
            return None
        text = errors.OVERFLOW_OLD if self._world.generation == "openai" else errors.OVERFLOW
        return text.format(n_keep=request.prompt_tokens, n_ctx=context)

    def _head(self, answer: Answer, instance: Instance, *, chat: bool) -> Head:
        prefix = "chatcmpl" if chat else "cmpl"
        return Head(
            id=f"{prefix}-{next(self._numbers):021x}",
            created=int(self._world.clock.now_s()),
            model=answer.model or instance.id,
            chat=chat,
        )

    async def _token_time(self, answer: Answer, place: Place) -> None:
        """Wait until the next token is written."""
        await place.until(_token(answer))


async def _token(answer: Answer) -> None:
    if answer.gate is not None:
        await answer.gate.pass_one()
    await asyncio.sleep(answer.pause_s)


async def send_json(exchange: Exchange, value: Any, status: int = 200) -> None:  # noqa: ANN401 - JSON is anything
    """Send a whole JSON answer with the content type of Express."""
    body = json.dumps(value).encode()
    await exchange.whole(status, "application/json; charset=utf-8", body)


def _vector(text: object) -> list[float]:
    return [round(len(str(text)) / place, 4) for place in (100, -1000, 10000)]
