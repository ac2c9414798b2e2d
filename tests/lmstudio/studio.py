"""The simulator as tests use it: LM Studio's state, and a server that shows it."""

import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.lmstudio import errors, paths
from tests.lmstudio.api import KEEP_ALIVE_S, Api
from tests.lmstudio.clock import Clock
from tests.lmstudio.completion import Answer
from tests.lmstudio.downloads import Downloads
from tests.lmstudio.models import CATALOG, Instance, Model, model_named
from tests.lmstudio.paths import Generation
from tests.lmstudio.quirks import Quirks
from tests.lmstudio.record import Record
from tests.lmstudio.script import Arranged, Fault, Script
from tests.lmstudio.world import UNLOADED, Settings, World
from tests.support.upstream_exchange import WAIT_S, Exchange, Gate
from tests.support.upstream_replies import Reply
from tests.support.upstream_server import UpstreamServer


class LMStudio:
    """LM Studio on a port of the loopback; a context manager that starts and stops its server.

    *models* are downloaded but not loaded: keys, of the catalog or made up, or whole Models. By
    default there is the whole catalog. The port stays the same over restarts.
    """

    def __init__(
        self,
        generation: Generation = "v1",
        models: Sequence[str | Model] = CATALOG,
        *,
        port: int = 0,
        clock: Clock | None = None,
        settings: Settings | None = None,
    ) -> None:
        self.clock = clock or Clock()
        self.clock.on_advance = self._settle
        self.quirks = Quirks()
        self.script = Script()
        downloaded = [each if isinstance(each, Model) else model_named(each) for each in models]
        self.world = World(generation, downloaded, self.clock, settings)
        self.world.on_unload = self._interrupt
        self.downloads = Downloads(self.world)
        self._lock = threading.RLock()
        self._record = Record()
        self._port = port
        self._api: Api | None = None
        self._server: UpstreamServer | None = None

    @property
    def url(self) -> str:
        """The address, without a path."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def settings(self) -> Settings:
        """The server settings; they may be changed at any time."""
        return self.world.settings

    def __enter__(self) -> Self:
        """Start the server."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop the server."""
        self.stop()

    def start(self) -> None:
        """Start the server, on the same port as before if it ran before."""
        api = Api(self.world, self.downloads, self.quirks, self.script, self._lock)

        def answer(exchange: Exchange) -> Reply:
            self._record.add(exchange)
            return api.reply_to(exchange)

        server = UpstreamServer(port=self._port, answer=answer, keep_alive_s=KEEP_ALIVE_S)
        self._port = server.port
        server.start()
        self._api, self._server = api, server

    def stop(self) -> None:
        """Stop the server, as ``lms server stop`` does: connections end, models stay loaded."""
        self._api, server = None, self._server
        self._server = None
        if server is not None:
            server.stop()

    def quit(self) -> None:
        """Quit the app: the server is gone, and so is what was loaded."""
        self.stop()
        with self._lock:
            self.world.unload_all()

    def upgrade(self, generation: Generation) -> None:
        """Quit the app and start it as another *generation*, older or newer."""
        self.quit()
        self.world.generation = generation
        self.start()

    def load(self, key: str, *, context_length: int = 0) -> Instance:
        """Load a model at once, as its user does in the app: to stay, one more instance."""
        with self._lock:
            return self.world.load(key, context_length=context_length)

    def evict(self, name: str, reason: str = UNLOADED) -> None:
        """Unload the instance with this id, or all of this key, whatever they are doing.

        Answers under way are told *reason*, or are cut if ``quirks.interruption`` says so.
        """
        with self._lock:
            gone = [each for each in self.world.instances if name in {each.id, each.model.key}]
            assert gone, f"{name} is not loaded"
            for instance in gone:
                self.world.unload(instance, reason)

    def crash(self, name: str) -> None:
        """Let the engine of a model die."""
        self.evict(name, errors.CRASHED)

    def require_token(self, token: str | None) -> None:
        """Switch authentication on, or off with None.

        Raises:
            ValueError: This generation has no authentication.
        """
        if token is not None and self.world.generation != "v1":
            raise ValueError("authentication came with 0.4.0: upgrade the simulator to v1 first")
        self.world.settings.token = token

    def says(self, *texts: str, gate: Gate | None = None) -> None:
        """Let the next answer be *texts*, each when *gate* lets it through."""
        self.script.answers.append(Answer(texts=texts, gate=gate))

    def next_answer(self, answer: Answer) -> None:
        """Let this be the next answer."""
        self.script.answers.append(answer)

    def next_fault(
        self, fault: Fault, *, path: str | None = None, method: str | None = None, times: int = 1
    ) -> None:
        """Answer the next *times* requests, of this path and method if given, with *fault*."""
        self.script.faults.append(Arranged(fault=fault, path=path, method=method, times=times))

    def next_load_fails(self, reason: str = errors.INSUFFICIENT_RESOURCES) -> None:
        """Let the next load fail, whoever asks for it."""
        self.script.load_failures.append(reason)

    def hold_loads(self) -> Gate:
        """Return a gate; from now on every load waits for a step of it."""
        self.script.load_gate = Gate()
        return self.script.load_gate

    def requests(self, *, path: str | None = None, method: str | None = None) -> list[Exchange]:
        """Return the requests so far, of this path and method if they are given."""
        return self._record.requests(path=path, method=method)

    def wait_request(
        self,
        number: int = 1,
        *,
        path: str | None = None,
        method: str | None = None,
        timeout_s: float = WAIT_S,
    ) -> Exchange:
        """Return the request *number* (from 1) of this kind once it has arrived."""
        return self._record.wait(number, path=path, method=method, timeout_s=timeout_s)

    def wait_disconnected(
        self, number: int = 1, *, path: str = paths.CHAT, timeout_s: float = WAIT_S
    ) -> Exchange:
        """Return the request *number* to *path* once its client has hung up on the answer."""
        exchange = self.wait_request(number, path=path, timeout_s=timeout_s)
        assert exchange.ended.wait(timeout_s), f"request {number} to {path} goes on"
        assert exchange.disconnected_at is not None, f"request {number} to {path} came to its end"
        return exchange

    def _settle(self) -> None:
        api = self._api
        if api is not None:
            api.settle()

    def _interrupt(self, instance: Instance, reason: str) -> None:
        api = self._api
        if api is not None:
            api.interrupt(instance, reason)
