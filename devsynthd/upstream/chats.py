"""Generations at one server: a chat goes out, its deltas come back as they are read."""

import time
from collections.abc import Callable
from functools import partial

from urllib3.exceptions import HTTPError

from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Chat, Delta, Ending, Stages
from devsynthd.upstream.bodies import order_of
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import ModelGone, failure_of, final, incomplete
from devsynthd.upstream.fill_in import FillIn, cannot_fill_in
from devsynthd.upstream.http import Http, Reply, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.transport_errors import (
    Patience,
    SizeLimit,
    silent,
    too_large,
    upstream_errors,
)
from devsynthd.wire.errors import Cancelled, DevsynthError

AFTER_FINISH_S = 5.0
"""How long usage and ``[DONE]`` may take after the last token, whatever else comes meanwhile;
without them it is complete too."""

MAX_ERROR_BYTES = 2**20
ANSWER_LIMIT = SizeLimit(64 * 2**20, "in one answer", "Set max_tokens, or a smaller one.")


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
        waits = _Waits(answer, self._address, self._timeouts, self._clock)
        try:
            with (
                upstream_errors(self._address, waits.patience),
                self._http.post(
                    path,
                    order.body,
                    line,
                    timeout_s=self._timeouts.first_token_s,
                    at_root=order.at_root,
                ) as reply,
            ):
                self._read(reply, answer, relay, waits)
                return answer.ending()
        except Cancelled:
            raise
        except DevsynthError as error:
            if answer.started:
                raise incomplete(error) from error
            if isinstance(error, ModelGone) and line.sent_again:
                raise final(error) from error
            raise

    def _read(self, reply: Reply, answer: Answer, relay: Relay[Delta], waits: "_Waits") -> None:
        media_type = reply.content_type.partition(";")[0].strip().lower()
        if not reply.ok or media_type == "text/html":
            raise failure_of(
                reply.status,
                reply.content_type,
                reply.read_all(MAX_ERROR_BYTES, waits.left_s),
                address=self._address,
                secrets=self._secrets,
            )
        if media_type == "application/json":  # it does not stream, or it failed with status 200
            body = reply.read_all(ANSWER_LIMIT.max_bytes, waits.left_s)
            if len(body) > ANSWER_LIMIT.max_bytes:
                raise too_large(self._address, ANSWER_LIMIT)
            self._hand_on(answer, answer.whole(body), relay)
            return
        size = 0
        while not answer.done and (data := _next(reply, answer, waits)):
            size += len(data)
            deltas = answer.feed(data)
            self._hand_on(answer, deltas, relay)
            waits.came(deltas)
            if size > ANSWER_LIMIT.max_bytes:
                raise too_large(self._address, ANSWER_LIMIT)
        if answer.done:
            reply.drain()

    def _hand_on(self, answer: Answer, deltas: list[Delta], relay: Relay[Delta]) -> None:
        if deltas and not relay.put(deltas):
            raise Cancelled("nobody takes the answer any more")
        if answer.failure is not None:
            raise answer.failure


class _Waits:
    """How long the reads of *answer* may take, by how far it is."""

    def __init__(
        self, answer: Answer, address: str, timeouts: Timeouts, clock: Callable[[], float]
    ) -> None:
        self._answer, self._address, self._timeouts = answer, address, timeouts
        self._clock = clock
        self._started_by = clock() + timeouts.first_token_s
        self._ended_by: float | None = None

    def came(self, deltas: list[Delta]) -> None:
        """Note that *deltas* were handed on, perhaps none."""
        # Some servers give a reason to finish with every token: only what adds nothing is idle.
        if self._answer.finished and (deltas or self._ended_by is None):
            self._ended_by = self._clock() + min(self._timeouts.idle_s, AFTER_FINISH_S)

    def left_s(self) -> float:
        """Return how long the next read may take, nothing once the end has had its time.

        Raises:
            UpstreamTimeout: The first token has had its time.
        """
        if self._ended_by is not None:
            return max(self._ended_by - self._clock(), 0)
        if self._answer.started:
            return self._timeouts.idle_s
        if (left := self._started_by - self._clock()) <= 0:
            raise silent(self._address, self.patience())
        return left

    def patience(self) -> Patience:
        """Return what is waited for."""
        if self._answer.started:
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


def _next(reply: Reply, answer: Answer, waits: _Waits) -> bytes:
    """Return the next bytes; none at the end, however it comes once all that counts is there."""
    left_s = waits.left_s()
    if answer.finished and left_s == 0:
        return b""
    try:
        return reply.read(left_s)
    except HTTPError:
        if not answer.finished:
            raise
        return b""
