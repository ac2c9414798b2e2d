"""The embedded engine as an upstream: one model, answered by a child process on loopback."""

from pathlib import Path

from msgspec.structs import replace

from devsynthd.upstream.base import Chat, Delta, Ending, Listing, Stages, Vectors
from devsynthd.upstream.engine import MODEL_NAME, Endpoint, Engine
from devsynthd.upstream.engine_process import PARALLEL_SLOTS
from devsynthd.upstream.failures import CONTEXT_HINT
from devsynthd.upstream.fill_in import FillIn
from devsynthd.upstream.http import Timeouts
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.upstream.relay import Relay
from devsynthd.upstream.transport_errors import MAY_HAVE_CRASHED, MAY_HAVE_STOPPED, START_IT
from devsynthd.wire.errors import DevsynthError, NotSupported
from devsynthd.wire.objects import Instance, Model

_DIED = "The engine may have died: the daemon's log says how. The next request starts it again."
_HINTS = {
    CONTEXT_HINT: "Shorten the prompt or its context, or raise embedded_context_length.",
    MAY_HAVE_STOPPED: _DIED,
    MAY_HAVE_CRASHED: _DIED,
    START_IT: _DIED,
    "server's own log": "daemon's log",
}
"""What hints say of the engine, by what they say of servers, which have other logs and settings."""


def engine_hint(hint: str | None) -> str | None:
    """Return *hint*, which was made for a server, as it holds for the engine."""
    if hint is None:
        return None
    for of_a_server, of_the_engine in _HINTS.items():
        hint = hint.replace(of_a_server, of_the_engine)
    return hint


class EmbeddedUpstream:
    """Speaks to *engine* as to any server, and has it started when somebody asks for an answer.

    Its one model is known as *name*.
    """

    def __init__(self, engine: Engine, name: str, *, timeouts: Timeouts, max_threads: int) -> None:
        self._engine, self._name = engine, name
        self._timeouts, self._max_threads = timeouts, max_threads
        self._endpoint: Endpoint | None = None
        self._server: OpenAIUpstream | None = None

    @property
    def address(self) -> str:
        """What it is called in messages."""
        return "the embedded engine"

    @property
    def manager(self) -> None:
        """There is no way to load or unload models there."""

    async def models(self) -> Listing:
        """Return the one model; it is loaded while the engine runs."""
        config, running = self._engine.config, self._engine.running
        if config is None:
            return Listing("embedded", ())
        return Listing(
            "embedded",
            (
                Model(
                    id=self._name,
                    name=config.model_path.stem,
                    owner="embedded",
                    kind="llm",
                    loaded=running,
                    instances=(Instance(self._name, config.context_length),) if running else (),
                    context_length=config.context_length if running else None,
                    format="gguf",
                    size_bytes=_size(config.model_path),
                ),
            ),
            slots={self._name: PARALLEL_SLOTS},
        )

    async def chat(self, chat: Chat, relay: Relay[Delta], stages: Stages) -> Ending:
        """Answer *chat*; starting the engine, if it does not run, comes before it is sent."""
        if not self._engine.running:
            stages.loading()
        async with self._engine.lease() as endpoint:
            server = await self._server_at(endpoint)
            try:
                ending = await server.chat(replace(chat, model=MODEL_NAME), relay, stages)
            except DevsynthError as exc:
                exc.hint = engine_hint(exc.hint)
                raise
        return replace(ending, model=self._name)

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        """Refuse: llama.cpp answers or makes vectors, not both, and this engine answers."""
        del model, texts, stages
        raise NotSupported(
            f"{self.address} makes no vectors",
            hint="It only answers. For vectors, llm_provider and llm_api_base have to name a server"
            " that has an embedding model.",
        )

    async def close(self) -> None:
        """Hang up; the engine itself is left to whoever made it."""
        if self._server is not None:
            await self._server.close()

    async def _server_at(self, endpoint: Endpoint) -> OpenAIUpstream:
        """Return the client of *endpoint*: each start of the engine has another port and key."""
        if self._server is None or endpoint != self._endpoint:
            gone, self._endpoint = self._server, endpoint
            self._server = OpenAIUpstream(
                endpoint.base_url,
                api_key=endpoint.api_key,
                timeouts=self._timeouts,
                ca_bundle="",
                address=self.address,
                fill_in=FillIn.INFILL,
                max_threads=self._max_threads,
            )
            if gone is not None:
                await gone.close()
        return self._server


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
