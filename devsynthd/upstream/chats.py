"""Generations at one server: a chat goes out, its deltas come back as they are read."""

import time
from collections.abc import Callable
from functools import partial

from urllib3.exceptions import HTTPError

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Chat, Delta, Ending, Stages
from devsynthd.upstream.bodies import order_of
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import failure_of, incomplete
from devsynthd.upstream.fill_in import FillIn, cannot_fill_in
from devsynthd.upstream.http import Http, Reply, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.transport_errors import Patience, silent, too_large, upstream_errors
from devsynthd.wire.errors import Cancelled, DevsynthError

AFTER_FINISH_S = 5.0
"""How long usage and ``[DONE]`` may take after the last token; without them it is complete too."""

MAX_ERROR_BYTES = 2**20
MAX_ANSWER_BYTES = 64 * 2**20


class Chats:
    """Asks at *http*, on threads of *exchanges*; keeps *secrets* out of errors.

    *prefix* leads from the base of *http* to that of the API: ``/v1`` or nothing.
    """

    def __init__(
        self,
        http: Http,
        prefix: str,
        timeouts: Timeouts,
        exchanges: Exchanges,
        *,
        secrets: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http, self._prefix, self._timeouts, self._clock = http, prefix, timeouts, clock
        self._address, self._secrets = http.address, secrets
        self._exchanges = exchanges

    async def chat(
        self, chat: Chat, relay: Relay[Delta], stages: Stages, fill_in: FillIn | None = None
    ) -> Ending:
        """Put the deltas of the answer into *relay* as they come; return how it ended.

        *stages* is told ``sent`` first: of as many chats as there are threads none waits for one.
        *fill_in* is how the server fills in the middle.

        Raises:
            DevsynthError: As ``Upstream.chat`` says; ``cancelled`` if *relay* was closed.
        """
        if chat.suffix is not None and fill_in in (None, FillIn.NONE):
            raise cannot_fill_in(self._address)
        stages.sent()
        exchange = partial(self._answer, chat, fill_in, relay)
        return await self._exchanges.run(exchange, on_hang_up=relay.close)

    def _answer(
        self, chat: Chat, fill_in: FillIn | None, relay: Relay[Delta], line: Line
    ) -> Ending:
        """Ask for an answer and read it to its end (on a thread)."""
        answer = Answer(address=self._address, secrets=self._secrets)
        order = order_of(chat, fill_in)
        path = order.path if order.at_root else self._prefix + order.path
        deadline = self._clock() + self._timeouts.first_token_s

        def left_s() -> float:
            """Return how long the next read may take."""
            if answer.finished:
                return min(self._timeouts.idle_s, AFTER_FINISH_S)
            if answer.started:
                return self._timeouts.idle_s
            if (left := deadline - self._clock()) <= 0:
                raise silent(self._address, self._patience(answer))
            return left

        try:
            with (
                upstream_errors(self._address, lambda: self._patience(answer)),
                self._http.post(
                    path,
                    order.body,
                    line,
                    timeout_s=self._timeouts.first_token_s,
                    at_root=order.at_root,
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
                address=self._address,
                secrets=self._secrets,
            )
        if media_type == "application/json":  # it does not stream, or it failed with status 200
            body = reply.read_all(MAX_ANSWER_BYTES, left_s)
            if len(body) > MAX_ANSWER_BYTES:
                raise too_large(self._address, "answer", MAX_ANSWER_BYTES)
            self._hand_on(answer, answer.whole(body), relay)
            return
        size = 0
        while not answer.done and (data := _next(reply, answer, left_s)):
            size += len(data)
            self._hand_on(answer, answer.feed(data), relay)
            if size > MAX_ANSWER_BYTES:
                raise too_large(self._address, "answer", MAX_ANSWER_BYTES)
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


def _next(reply: Reply, answer: Answer, left_s: Callable[[], float]) -> bytes:
    """Return the next bytes; none at the end, however it comes once all that counts is there."""
    try:
        return reply.read(left_s())
    except HTTPError:
        if not answer.finished:
            raise
        return b""
