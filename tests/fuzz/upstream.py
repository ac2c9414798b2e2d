"""A server whose every answer may be wrong, and a daemon that answers its own clients all right."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import strategies as st

from tests.fuzz.answers import STREAMS
from tests.fuzz.daemons import Fuzzed, fuzzed
from tests.fuzz.damage import near, torn
from tests.fuzz.messages import check_error
from tests.fuzz.rights import (
    DOWNLOAD,
    ERRORS,
    LOADED,
    OPENAI_LIST,
    UNLOADED,
    V0_LIST,
    V1_LIST,
    VECTORS,
)
from tests.fuzz.shapes import mostly
from tests.fuzz.target import Check, Target
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, status
from tests.support.upstream_server import UpstreamServer

_RIGHT: dict[str, Any] = {  # by the end of the path; the first that fits counts
    "/api/v1/models": V1_LIST,
    "/api/v0/models": V0_LIST,
    "/v1/models": OPENAI_LIST,
    "/embeddings": VECTORS,
    "/models/load": LOADED,
    "/models/unload": UNLOADED,
    "/models/download": DOWNLOAD,
    "/job-1": DOWNLOAD,
}
_REQUESTS: list[dict[str, Any]] = [
    {"op": "list", "refresh": True},
    {"op": "generate", "prompt": "hi", "stream": True, "progress": True},
    {"op": "generate", "prompt": "hi", "model": "a"},
    {"op": "generate", "prompt": "hi", "raw": True, "suffix": "x"},
    {"op": "generate", "prompt": "hi", "schema": {"type": "object"}},
    {"op": "embed", "input": ["a", "b"], "model": "vectors"},
    {"op": "load", "model": "a", "progress": True},
    {"op": "load", "model": "a", "context_length": 8192},
    {"op": "unload", "model": "a"},
    {"op": "download", "model": "a", "progress": True, "timeout": 0.5},
    {"op": "select", "model": "a", "persist": False},
    {"op": "status"},
]


class Answers(NamedTuple):
    """What is asked, and what the server says to all who ask that path; all else is right."""

    request: dict[str, Any]
    path: str | None
    status: int
    content_type: str
    body: bytes


@st.composite
def _answers(draw: st.DrawFn) -> Answers:
    request = draw(st.sampled_from(_REQUESTS))
    path = draw(st.sampled_from([None, *_RIGHT]))
    bodies = STREAMS if path is None else torn(near([_RIGHT[path]]))
    return Answers(
        request,
        path,
        draw(mostly(st.just(200), st.sampled_from([204, 302, 401, 404, 500, 503]))),
        draw(
            mostly(st.just("application/json"), st.sampled_from(["text/event-stream", "x\xff", ""]))
        ),
        draw(mostly(bodies, near(ERRORS), STREAMS)),
    )


class Server:
    """A server that answers as *told*; what it is not told about it answers right."""

    def __init__(self) -> None:
        self.told: Answers | None = None

    def answer(self, exchange: Exchange) -> Reply:
        """Return the answer to one request."""
        told = self.told
        path = next((path for path in _RIGHT if exchange.path.endswith(path)), None)
        if told is not None and told.path == path:
            return status(told.status, told.body, told.content_type)
        if path is None:
            return status(200, b'data: {"choices":[{"text":"x","finish_reason":"stop"}]}\n\n')
        return status(200, _RIGHT[path])


class Client:
    """Asks *daemon*, whose server is *server*."""

    def __init__(self, daemon: Fuzzed, server: Server) -> None:
        self._daemon, self._server = daemon, server
        self._number = 0

    def check(self, answers: Answers) -> None:
        """Fail unless the request has one last reply, and the list can be had again after it."""
        self._server.told = answers
        try:
            self._hold(answers.request)
        except BaseException:
            self._daemon.reconnect()
            raise
        finally:
            self._server.told = None

    def _hold(self, request: Mapping[str, Any]) -> None:
        self._number += 1
        self._daemon.dealer.send(id=self._number, **request)
        while (reply := self._daemon.receive()[-1])["type"] not in ("result", "error"):
            assert reply["id"] == self._number
        assert reply["id"] == self._number, reply
        if reply["type"] == "error":
            check_error(reply["error"])
        self._server.told = None
        # The first one may share a look that was under way, at what the server said before.
        sources = (
            self._daemon.ask(op="list", id="again", refresh=True)["result"]["source"]
            for _ in range(3)
        )
        assert any(not source["stale"] for source in sources)
        self._daemon.check_log()


@contextmanager
def _opened(folder: Path) -> Iterator[Check]:
    server = Server()
    with UpstreamServer(answer=server.answer) as http:
        environ = {
            "DEVSYNTH_LLM_PROVIDER": "lmstudio",
            "DEVSYNTH_LLM_API_BASE": http.url,
            "DEVSYNTH_LLM_FIRST_TOKEN_TIMEOUT": "2",
            "DEVSYNTH_LLM_IDLE_TIMEOUT": "2",
            "DEVSYNTH_DAEMON_POLL_INTERVAL": "3600",
        }
        with fuzzed(folder, environ) as daemon:
            yield Client(daemon, server).check


UPSTREAM = Target("upstream", _answers(), _opened, share=20)
