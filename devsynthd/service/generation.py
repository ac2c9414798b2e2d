"""``generate``: one answer from a model."""

from collections.abc import Callable

from msgspec.structs import replace

from devsynthd.service.asking import Asking
from devsynthd.service.call import Call
from devsynthd.service.conversation import Defaults, chat_for, estimated_tokens
from devsynthd.service.delivery import Delivery
from devsynthd.service.routing import Route, Routing, Wanted
from devsynthd.service.status import Tally
from devsynthd.service.structure import Structure
from devsynthd.service.warnings import warnings_of
from devsynthd.upstream.base import Chat, Delta, Ending, Stages
from devsynthd.wire.errors import ContextOverflow, UpstreamError
from devsynthd.wire.requests import ABSENT, Generate
from devsynthd.wire.results import Completion


class GenerationService:
    """Answers ``generate``: has the upstream asked, passes the answer on and looks at it."""

    def __init__(
        self, asking: Asking, routing: Routing, tally: Tally, defaults: Callable[[], Defaults]
    ) -> None:
        self._asking, self._routing, self._tally = asking, routing, tally
        self._defaults = defaults

    async def generate(self, request: Generate, call: Call) -> Completion:
        """Return the answer to *request*; chunks of it go out before, if it asks for them.

        Raises:
            DevsynthError: As the protocol says.
        """
        # What is wrong with the request is told before any wait.
        chat = chat_for(request, "", self._defaults())
        structure = None if request.schema is ABSENT else Structure(request.schema)

        async def question(route: Route, stages: Stages) -> Completion:
            return await self._answer(request, call, route, stages, chat, structure)

        return await self._asking.ask(
            call,
            Wanted(model=request.model, may_fall_back=request.fallback is not False),
            question,
            wait_s=request.wait,
            background=request.background,
        )

    async def _answer(
        self,
        request: Generate,
        call: Call,
        route: Route,
        stages: Stages,
        chat: Chat,
        structure: Structure | None,
    ) -> Completion:
        chat = replace(chat, model=route.model)
        delivery = Delivery(call, stream=request.stream)
        try:
            ending = await route.upstream.chat(chat, delivery.relay, stages)
        except UpstreamError as exc:
            if (overflow := self._overflow(exc, chat)) is not None:
                raise overflow from exc
            raise
        finally:
            delivery.finish()
        if structure is not None and not ending.tool_calls:
            await _check(structure, call, delivery, ending)
        tokens = ending.usage.completion_tokens if ending.usage else 0
        self._tally.generations += 1
        self._tally.tokens += tokens
        return Completion(
            model=ending.model or route.model,
            text=str(call.text),
            reasoning=str(delivery.reasoning) or None,
            tool_calls=ending.tool_calls,
            finish_reason=ending.finish_reason,
            usage=ending.usage,
            timing=call.ledger.closed(call.clock(), tokens),
            fallback=route.fallback,
            warnings=warnings_of(route, ending, chat.max_tokens),
        )

    def _overflow(self, error: UpstreamError, chat: Chat) -> ContextOverflow | None:
        """Return what the length of the prompt makes of *error*, an answer without a word.

        LM Studio ends the answer to a prompt that does not fit in three ways. Two say so.
        """
        context_length = self._routing.context_length(chat.model)
        if not error.details.get("empty") or context_length is None:
            return None
        if estimated_tokens(chat) < context_length:
            return None
        return ContextOverflow(
            f"the prompt of about {estimated_tokens(chat)} tokens does not fit the"
            f" {context_length} of {chat.model}: it answered with nothing at all",
            hint=error.hint,
            details=error.details,
        )


async def _check(structure: Structure, call: Call, delivery: Delivery, ending: Ending) -> None:
    """Check that the answer satisfies *structure*.

    Some models put all of it into their reasoning: then that is the text too.

    Raises:
        UpstreamError: It does not.
    """
    text, reasoning = str(call.text), str(delivery.reasoning).strip()
    if not text.strip() and await structure.fits(reasoning):
        delivery.add(Delta(text=reasoning))
        return
    await structure.check(text, was_cut_off=ending.finish_reason == "length")
