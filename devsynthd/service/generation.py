"""``generate``: one answer from a model."""

import re
from collections.abc import Callable

from devsynthd.scheduling.turns import Turns
from devsynthd.service.call import Call
from devsynthd.service.conversation import Defaults, chat_for, estimated_tokens
from devsynthd.service.delivery import Delivery
from devsynthd.service.routing import Route, Routing
from devsynthd.service.status import Tally
from devsynthd.upstream.base import Chat, Ending
from devsynthd.wire.errors import (
    ContextOverflow,
    DevsynthError,
    Incomplete,
    ModelLoadFailed,
    ModelNotFound,
    NoModel,
    UpstreamError,
    UpstreamUnavailable,
)
from devsynthd.wire.objects import Warn
from devsynthd.wire.requests import Generate
from devsynthd.wire.results import Completion

_INSTANCE_SUFFIX = re.compile(r":\d+$")


class GenerationService:
    """Answers ``generate``: finds out who answers, waits for a turn, passes the answer on."""

    def __init__(
        self, routing: Routing, turns: Turns, tally: Tally, defaults: Callable[[], Defaults]
    ) -> None:
        self._routing, self._turns, self._tally = routing, turns, tally
        self._defaults = defaults

    async def generate(self, request: Generate, call: Call) -> Completion:
        """Return the answer to *request*; chunks of it go out before, if it asks for them.

        Raises:
            DevsynthError: As the protocol says.
        """
        defaults = self._defaults()
        chat_for(request, "", defaults)  # what is wrong with the request is told before any wait
        call.state = "queued"
        wait_until = call.received_at + request.wait
        route = await self._routing.find(request, wait_until)
        try:
            return await self._ask(route, request, call, defaults)
        except UpstreamUnavailable as exc:
            if route.fallback:
                raise
            call.state = "queued"
            route = await self._routing.find_again(request, wait_until, exc)
        return await self._ask(route, request, call, defaults)

    async def _ask(
        self, found: Route, request: Generate, call: Call, defaults: Defaults
    ) -> Completion:
        call.model = found.model
        call.position = lambda: self._turns.queue.position(call)
        wait_until = call.received_at + request.wait
        async with (
            self._turns.turn(call.client, call),
            self._routing.taken(found, request, wait_until) as route,
        ):
            call.model = route.model
            delivery = Delivery(call, stream=request.stream)
            chat = chat_for(request, route.model, defaults)
            try:
                ending = await route.upstream.chat(chat, delivery.relay, delivery.sent)
            except UpstreamError as exc:
                raise self._explained(exc, chat) from exc
            except (ModelNotFound, NoModel, ModelLoadFailed, Incomplete):
                self._routing.outdated()
                raise
            finally:
                delivery.finish()
        self._tally.generations += 1
        self._tally.tokens += ending.usage.completion_tokens if ending.usage else 0
        return Completion(
            model=ending.model or route.model,
            text="".join(call.text),
            reasoning="".join(delivery.reasoning) or None,
            tool_calls=ending.tool_calls,
            finish_reason=ending.finish_reason,
            usage=ending.usage,
            timing=delivery.timing(ending.usage),
            fallback=route.fallback,
            warnings=_warnings(route, ending, chat.max_tokens),
        )

    def _explained(self, error: UpstreamError, chat: Chat) -> DevsynthError:
        """Return *error*, or what the length of the prompt makes of an answer without a word.

        LM Studio ends the answer to a prompt that does not fit in three ways. Two say so.
        """
        self._routing.outdated()
        context_length = self._routing.context_length(chat.model)
        if not error.details.get("empty") or context_length is None:
            return error
        if estimated_tokens(chat) < context_length:
            return error
        return ContextOverflow(
            f"the prompt of about {estimated_tokens(chat)} tokens does not fit the"
            f" {context_length} of {chat.model}: it answered with nothing at all",
            hint=error.hint,
            details=error.details,
        )


def _warnings(route: Route, ending: Ending, max_tokens: int | None) -> tuple[Warn, ...]:
    """Return what the caller should know about this answer."""
    found = []
    if route.fallback:
        found.append(
            Warn("fallback", f"the upstream is not reachable: {route.model} answered in its place")
        )
    if ending.model and not same_model(route.model, ending.model):
        found.append(Warn("other_model", f"{ending.model} answered, not {route.model}"))
    if ending.finish_reason == "length":
        limit = f" after {max_tokens} tokens" if max_tokens else ""
        found.append(
            Warn("truncated", f"the answer was cut off{limit}: raise llm_max_tokens for more")
        )
    return tuple(found)


def same_model(asked: str, answered: str) -> bool:
    """Return whether *answered* is *asked*, or one of its instances (``:2``)."""
    return asked == answered or asked == _INSTANCE_SUFFIX.sub("", answered)
