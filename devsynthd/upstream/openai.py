"""A plain OpenAI-compatible server: llama-server, vLLM, Ollama, a gateway, LM Studio's ``/v1``."""

import time
from collections.abc import Callable

from msgspec.structs import replace

from devsynthd.host.clock import elapsed_s
from devsynthd.upstream import ollama
from devsynthd.upstream.base import Chat, Delta, Ending, Listing, Stages, Vectors
from devsynthd.upstream.chats import Chats
from devsynthd.upstream.embeddings import Embeddings
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.fill_in import FillIn, is_llama_server
from devsynthd.upstream.http import Http, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.listings import listing_of
from devsynthd.upstream.lists import LIST_THREADS, Lists
from devsynthd.upstream.relay import Relay
from devsynthd.wire.errors import UpstreamUnavailable


class OpenAIUpstream:
    """The server at *base_url*. Generations and lists have threads of their own.

    *max_threads* is how many requests for answers or vectors run at a time; *ca_bundle* is the path
    of a CA file, or empty. How it fills in the middle is told by its list, unless *fill_in* is
    given. Without a *clock*, ages go on while the machine sleeps, and limits of time do not.

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
        address: str | None = None,
        fill_in: FillIn | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        ages, clock = clock or elapsed_s, clock or time.monotonic
        self._http = Http(
            base_url,
            api_key=api_key,
            connect_s=timeouts.connect_s,
            ca_bundle=ca_bundle,
            max_connections=max_threads + LIST_THREADS,
            address=address,
            clock=ages,
        )
        self._is_ollama: bool | None = None
        self._fill_in = fill_in
        self._secrets = (api_key, *self._http.passwords)
        self._lists = Lists(
            self._http, list_s=timeouts.list_s, connect_s=timeouts.connect_s, clock=clock
        )
        self._exchanges = Exchanges(max_threads, name="upstream-chat")
        self._chats = Chats(
            self._http, "", timeouts, self._exchanges, secrets=self._secrets, clock=clock
        )
        self._embeddings = Embeddings(
            self._http, "/embeddings", timeouts, self._exchanges, secrets=self._secrets, clock=clock
        )

    @property
    def address(self) -> str:
        """Where it is, for messages: a URL without user, password or query."""
        return self._http.address

    @property
    def manager(self) -> None:
        """There is no way to load or unload models there."""

    async def models(self) -> Listing:
        """Return the models, within ``list_s``.

        Raises:
            DevsynthError: ``upstream_*``, as devsynthd.wire.errors says.
        """
        try:
            return await self._lists.run(self._list)
        except UpstreamUnavailable:
            self._is_ollama = self._fill_in = None  # another server may come up there
            raise

    async def chat(self, chat: Chat, relay: Relay[Delta], stages: Stages) -> Ending:
        """Put the deltas of the answer into *relay* as they come; return how it ended.

        Raises:
            DevsynthError: As ``Upstream.chat`` says.
        """
        if chat.suffix is not None and self._fill_in is None:
            await self.models()
        return await self._chats.chat(chat, relay, stages, self._fill_in)

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        """Return the vectors that *model* makes of *texts*.

        Raises:
            DevsynthError: As ``Upstream.embed`` says.
        """
        return await self._embeddings.embed(model, texts, stages)

    async def close(self) -> None:
        """Hang up on all that is under way and let go of threads and connections."""
        await self._lists.close()
        await self._exchanges.close()
        self._http.close()

    def _list(self, line: Line) -> Listing:
        body = self._lists.get("/models", line)
        listing = listing_of(
            body.status, body.content_type, body.data, address=self.address, secrets=self._secrets
        )
        if self._recognise_ollama(listing, line):
            self._fill_in = FillIn.FIELD
            loaded = self._lists.aside(ollama.LOADED_PATH, line, at_root=True)
            return replace(listing, models=ollama.with_loaded(listing.models, loaded))
        self._fill_in = FillIn.INFILL if is_llama_server(listing.models) else FillIn.NONE
        return listing

    def _recognise_ollama(self, listing: Listing, line: Line) -> bool:
        """Find out, once, whether more can be asked, where the list looks like Ollama's."""
        if not ollama.may_be(listing.models):
            return False
        if self._is_ollama is None:
            version = self._lists.aside(ollama.VERSION_PATH, line, at_root=True)
            self._is_ollama = ollama.is_ollama(version)
        return self._is_ollama
