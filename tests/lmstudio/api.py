"""Which route does what, and who may use it. The HTTP edge of the simulator.

Asked of every request: is there such a route in this generation? If not, E1 with status 200. Is the
token good? If not, 401; only the greeting needs none. Then the route answers.
"""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from tests.lmstudio import errors, lists, paths
from tests.lmstudio.downloads import Downloads
from tests.lmstudio.engine import Engine
from tests.lmstudio.errors import Refused
from tests.lmstudio.generation import Generation, send_json
from tests.lmstudio.management import Management
from tests.lmstudio.models import Instance
from tests.lmstudio.quirks import Quirks
from tests.lmstudio.script import Script
from tests.lmstudio.world import World
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply

# LM Studio announces 5 s and means it: a request on a connection that was idle for about as long
# may meet its end.
KEEP_ALIVE_S = 5.0
HEADERS = (
    ("X-Powered-By", "Express"),
    ("Connection", "keep-alive"),
    ("Keep-Alive", f"timeout={KEEP_ALIVE_S:.0f}"),
)


class Api:
    """Answers requests from the world's state. Made anew for each start of the server."""

    def __init__(
        self,
        world: World,
        downloads: Downloads,
        quirks: Quirks,
        script: Script,
        lock: threading.RLock,
    ) -> None:
        self._world, self._downloads, self._quirks = world, downloads, quirks
        self._script, self._lock = script, lock
        self._engine = Engine(world, script, lock)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._used_connections: set[int] = set()
        generation = Generation(world, quirks, script, self._engine, lock)
        management = Management(world, downloads, self._engine, lock)
        self._routes: dict[tuple[str, str], Reply] = {
            ("GET", paths.GREETING): self._json(lambda: {"lmstudio": True}),
            ("GET", paths.MODELS): self._json(lambda: lists.openai_list(world)),
            ("GET", paths.MODELS_V0): self._json(lambda: lists.v0_list(world)),
            ("GET", paths.MODELS_V1): self._json(lambda: lists.v1_list(world, quirks)),
            ("POST", paths.CHAT): generation.chat,
            ("POST", paths.CHAT_V0): generation.chat,
            ("POST", paths.COMPLETIONS): generation.complete,
            ("POST", paths.COMPLETIONS_V0): generation.complete,
            ("POST", paths.EMBEDDINGS): generation.embed,
            ("POST", paths.EMBEDDINGS_V0): generation.embed,
            ("POST", paths.LOAD): management.load,
            ("POST", paths.UNLOAD): management.unload,
            ("POST", paths.DOWNLOAD): management.download,
        }
        self._download_status = management.download_status

    def reply_to(self, exchange: Exchange) -> Reply:
        """Return how *exchange* is answered, with the fault that is arranged for it."""
        self._loop = asyncio.get_running_loop()
        exchange.extra_headers = HEADERS
        reused = exchange.connection in self._used_connections
        self._used_connections.add(exchange.connection)
        if reused and self._quirks.resets_reused_connections:
            return _reset
        self.settle()
        return self._script.afflicted(exchange, self._good)

    def settle(self) -> None:
        """Let happen what is due by the clock."""
        with self._lock:
            self._world.expire()
            self._downloads.go_on()

    def interrupt(self, instance: Instance, reason: str) -> None:
        """Break off the answers of *instance*; called in any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._engine.interrupt, instance, reason)

    async def _good(self, exchange: Exchange) -> None:
        """Answer as a healthy LM Studio does, which includes its refusals."""
        try:
            await self._route(exchange)(exchange)
        except Refused as refused:
            await send_refusal(exchange, refused)

    def _route(self, exchange: Exchange) -> Reply:
        """Return what answers *exchange*.

        Raises:
            Refused: There is no such route, or the token is not good.
        """
        path = exchange.path.partition("?")[0]
        unexpected = errors.unexpected_endpoint(exchange.method, exchange.path)
        route = self._routes.get((exchange.method, path)) or self._route_below(exchange, path)
        if route is None or not paths.serves(self._world.generation, path):
            raise unexpected
        if path != paths.GREETING or self._quirks.greeting_needs_token:
            token, offered = self._token(), exchange.headers.get("authorization")
            if token is not None and offered != f"Bearer {token}":
                hides = self._quirks.unauthorized_is_unexpected
                raise unexpected if hides else errors.bad_token(offered)
        return route

    def _route_below(self, exchange: Exchange, path: str) -> Reply | None:
        """Return what answers a path that has a name in it."""
        if exchange.method != "GET":
            return None
        if path == paths.STATUS and self._quirks.status_version is not None:
            version = self._quirks.status_version
            return self._json(lambda: {"package": "lmstudio", "version": version})
        if path.startswith(paths.DOWNLOAD_STATUS):
            return self._download_status
        if path.startswith(f"{paths.MODELS_V0}/"):
            name = path.removeprefix(f"{paths.MODELS_V0}/")
            return self._json(lambda: self._v0_model(name))
        return None

    def _token(self) -> str | None:
        """Return the token that is asked for; versions before 0.4.0 ask for none."""
        return self._world.settings.token if self._world.generation == "v1" else None

    def _v0_model(self, name: str) -> Any:  # noqa: ANN401 - JSON is anything
        for model, instance in self._world.listed():
            if name == (instance.id if instance else model.key):
                return lists.v0_entry(model, instance)
        raise errors.object_error(f'Model "{name}" not found.', "model_not_found", 404)

    def _json(self, value: Callable[[], Any]) -> Reply:
        async def reply(exchange: Exchange) -> None:
            with self._lock:
                body = value()
            await send_json(exchange, body)

        return reply


async def send_refusal(exchange: Exchange, refused: Refused) -> None:
    """Send an error, JSON or, if it is bytes, a web page."""
    if isinstance(refused.body, bytes):
        await exchange.whole(refused.status, "text/html; charset=utf-8", refused.body)
    else:
        await send_json(exchange, refused.body, refused.status)


async def _reset(exchange: Exchange) -> None:
    exchange.reset()
