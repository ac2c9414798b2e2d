"""``embed``: a vector for each text."""

from devsynthd.service.asking import Asking
from devsynthd.service.call import Call
from devsynthd.service.routing import Route, Wanted
from devsynthd.service.status import Tally
from devsynthd.service.warnings import other_model
from devsynthd.upstream.base import Vectors
from devsynthd.wire.requests import Embed
from devsynthd.wire.results import Embeddings


class EmbeddingService:
    """Answers ``embed``, in the queue of the generations: they share the upstream."""

    def __init__(self, asking: Asking, tally: Tally) -> None:
        self._asking, self._tally = asking, tally

    async def embed(self, request: Embed, call: Call) -> Embeddings:
        """Return the vectors of the texts of *request*, in their order.

        Raises:
            DevsynthError: As the protocol says.
        """
        texts = (request.input,) if isinstance(request.input, str) else tuple(request.input)
        stages = _Stages(call)

        async def question(route: Route) -> tuple[Route, Vectors]:
            return route, await route.upstream.embed(route.model, texts, stages)

        wanted = Wanted(model=request.model, embeds=True, may_fall_back=False)
        route, made = await self._asking.ask(call, wanted, question)
        return Embeddings(
            model=made.model or route.model,
            embeddings=made.vectors,
            usage=made.usage,
            warnings=other_model(route.model, made.model),
        )


class _Stages:
    """Notes on a call how far it is."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def loading(self) -> None:
        self._call.state = "loading"

    def sent(self) -> None:
        self._call.ledger.sent(self._call.clock())
        self._call.state = "waiting"
