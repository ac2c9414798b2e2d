"""``embed``: a vector for each text."""

import asyncio

import msgspec

from devsynthd.service.asking import Asking
from devsynthd.service.call import Call
from devsynthd.service.routing import Route, Wanted
from devsynthd.service.warnings import other_model
from devsynthd.upstream.base import Stages, Vectors
from devsynthd.wire.codec import Encoding
from devsynthd.wire.requests import Embed
from devsynthd.wire.results import Embeddings, PackedEmbeddings

_VECTOR = msgspec.msgpack.Decoder(tuple[float, ...])


class EmbeddingService:
    """Answers ``embed``, in the queue of the generations: they share the upstream."""

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    async def embed(self, request: Embed, call: Call) -> Embeddings | PackedEmbeddings:
        """Return the vectors of the texts of *request*, in their order.

        Raises:
            DevsynthError: As the protocol says.
        """
        texts = (request.input,) if isinstance(request.input, str) else tuple(request.input)

        async def question(route: Route, stages: Stages) -> tuple[Route, Vectors]:
            made = await route.upstream.embed(route.model, texts, stages)
            # Vectors are large: those of a client that does not read would fill the memory. As
            # with a stream, it keeps its turn until it has read, or is cancelled for that.
            await _writable(call)
            return route, made

        wanted = Wanted(model=request.model, embeds=True, may_fall_back=False)
        route, made = await self._asking.ask(call, wanted, question)
        packed = PackedEmbeddings(
            model=made.model or route.model,
            embeddings=made.vectors,
            usage=made.usage,
            warnings=other_model(route.model, made.model),
        )
        if call.envelope.encoding is Encoding.MSGPACK:
            return packed
        return Embeddings(
            model=packed.model,
            embeddings=tuple(_VECTOR.decode(each) for each in packed.embeddings),
            usage=packed.usage,
            warnings=packed.warnings,
        )


async def _writable(call: Call) -> None:
    """Wait until what is sent to the client of *call* would leave at once."""
    if call.client.writable:
        return
    has_read = asyncio.Event()
    call.on_writable = has_read.set
    while not call.client.writable:
        await has_read.wait()
        has_read.clear()
