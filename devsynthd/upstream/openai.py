"""A plain OpenAI-compatible server: llama-server, vLLM, Ollama, a gateway, LM Studio's ``/v1``."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from urllib3.exceptions import HTTPError

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Chat, Delta, Ending, Listing
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import failure_of, incomplete
from devsynthd.upstream.http import Http, Reply, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.listings import listing_of
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.transport_errors import Patience, silent, upstream_errors
from devsynthd.wire.errors import Cancelled, DevsynthError, UpstreamError, UpstreamTimeout

AFTER_FINISH_S = 5.0
"""How long usage and ``[DONE]`` may take after the last token; without them it is complete too."""

MAX_LIST_BYTES = 16 * 2**20
MAX_ERROR_BYTES = 2**20
MAX_ANSWER_BYTES = 64 * 2**20

_LIST_THREADS = 2


def chat_body(chat: Chat) -> bytes:
    """Return *chat* as the JSON text of a streaming request."""
    body: dict[str, Any] = {
        "model": chat.model,
        "messages": chat.messages,
        "temperature": chat.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    if chat.max_tokens is not None:
        body["max_tokens"] = chat.max_tokens
    return msgspec.json.encode(body)


class OpenAIUpstream:
    """The server at *base_url*, which ends before ``/chat/completions``.

    Generations and lists have threads of their own: neither waits for the other. *max_threads* is
    how many generations run at a time; *ca_bundle* is the path of a CA file, or empty.

    Raises:
        ConfigInvalid: *base_url* or *api_key* cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        timeouts: Timeouts,
        ca_bundle: str,
        max_threads: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http = Http(
            base_url,
            api_key=api_key,
            connect_s=timeouts.connect_s,
            ca_bundle=ca_bundle,
            max_connections=max_threads + _LIST_THREADS,
            clock=clock,
        )
        self._timeouts, self._clock = timeouts, clock
        self._secrets = (api_key,) if api_key else ()
        self._chats = Exchanges(max_threads, name="upstream-chat")
        self._lists = Exchanges(_LIST_THREADS, name="upstream-list")

    @property
    def address(self) -> str:
        """Where it is, for messages: a URL without user, password or query."""
        return self._http.address

    async def models(self) -> Listing:
        """Return the models, within ``list_s``.

        Raises:
            DevsynthError: ``upstream_*``, as devsynthd.wire.errors says.
        """
        try:
            async with asyncio.timeout(self._timeouts.list_s):
                return await self._lists.run(self._list)
        except TimeoutError:
            raise UpstreamTimeout(
                f"{self.address} did not list its models within {self._timeouts.list_s:g} s",
                hint="The server may be busy: try again.",
            ) from None

    async def chat(self, chat: Chat, relay: Relay[Delta], sent: Callable[[], None]) -> Ending:
        """Put the deltas of the answer into *relay* as they come; return how it ended.

        *sent* is called first: of up to *max_threads* chats none waits for a thread.

        Raises:
            DevsynthError: As ``Upstream.chat`` says; ``cancelled`` if *relay* was closed.
        """
        sent()
        exchange = partial(self._answer, chat, relay)
        return await self._chats.run(exchange, on_hang_up=relay.close)

    async def close(self) -> None:
        """Hang up on all that is under way and let go of threads and connections."""
        await self._lists.close()
        await self._chats.close()
        self._http.close()

    def _list(self, line: Line) -> Listing:
        """Ask for the models (on a thread)."""
        deadline = self._clock() + self._timeouts.list_s
        patience = Patience(
            "the list of models", self._timeouts.list_s, "The server may be busy: try again."
        )
        with (
            upstream_errors(self.address, lambda: patience),
            self._http.get("/models", line, timeout_s=patience.seconds) as reply,
        ):
            body = reply.read_all(MAX_LIST_BYTES, lambda: deadline - self._clock())
        if len(body) > MAX_LIST_BYTES:
            raise self._too_large("list of models", MAX_LIST_BYTES)
        return listing_of(
            reply.status,
            reply.content_type,
            body,
            address=self.address,
            secrets=self._secrets,
        )

    def _answer(self, chat: Chat, relay: Relay[Delta], line: Line) -> Ending:
        """Ask for an answer and read it to its end (on a thread)."""
        answer = Answer(address=self.address, secrets=self._secrets)
        body = chat_body(chat)
        deadline = self._clock() + self._timeouts.first_token_s

        def left_s() -> float:
            """Return how long the next read may take."""
            if answer.finished:
                return min(self._timeouts.idle_s, AFTER_FINISH_S)
            if answer.started:
                return self._timeouts.idle_s
            if (left := deadline - self._clock()) <= 0:
                raise silent(self.address, self._patience(answer))
            return left

        try:
            with (
                upstream_errors(self.address, lambda: self._patience(answer)),
                self._http.post(
                    "/chat/completions", body, line, timeout_s=self._timeouts.first_token_s
                ) as reply,
            ):
                self._read(reply, answer, relay, left_s)
                return answer.ending()
        except Cancelled:
            raise
        except DevsynthError as error:
            if answer.started:
                raise incomplete(error) from error
            raise

    def _read(
        self, reply: Reply, answer: Answer, relay: Relay[Delta], left_s: Callable[[], float]
    ) -> None:
        media_type = reply.content_type.partition(";")[0].strip().lower()
        if not reply.ok or media_type == "text/html":
            raise failure_of(
                reply.status,
                reply.content_type,
                reply.read_all(MAX_ERROR_BYTES, left_s),
                address=self.address,
                secrets=self._secrets,
            )
        if media_type == "application/json":  # it does not stream, or it failed with status 200
            body = reply.read_all(MAX_ANSWER_BYTES, left_s)
            if len(body) > MAX_ANSWER_BYTES:
                raise self._too_large("answer", MAX_ANSWER_BYTES)
            self._hand_on(answer, answer.whole(body), relay)
            return
        size = 0
        while not answer.done and (data := _next(reply, answer, left_s)):
            size += len(data)
            self._hand_on(answer, answer.feed(data), relay)
            if size > MAX_ANSWER_BYTES:
                raise self._too_large("answer", MAX_ANSWER_BYTES)
        if answer.done:
            reply.drain()

    def _hand_on(self, answer: Answer, deltas: list[Delta], relay: Relay[Delta]) -> None:
        if deltas and not relay.put(deltas):
            raise Cancelled("nobody takes the answer any more")
        if answer.failure is not None:
            raise answer.failure

    def _patience(self, answer: Answer) -> Patience:
        if answer.started:
            return Patience(
                "the next part of the answer",
                self._timeouts.idle_s,
                "The model may hang: the server's own log may say why. How long to wait is set by"
                " llm_idle_timeout.",
            )
        return Patience(
            "the first token",
            self._timeouts.first_token_s,
            "A model that is being loaded, or a long prompt, takes its time: raise"
            " llm_first_token_timeout if it needs longer.",
        )

    def _too_large(self, what: str, max_bytes: int) -> UpstreamError:
        return UpstreamError(f"{self.address} sent a {what} of more than {max_bytes >> 20} MiB")


def _next(reply: Reply, answer: Answer, left_s: Callable[[], float]) -> bytes:
    """Return the next bytes; none at the end, however it comes once all that counts is there."""
    try:
        return reply.read(left_s())
    except HTTPError:
        if not answer.finished:
            raise
        return b""
