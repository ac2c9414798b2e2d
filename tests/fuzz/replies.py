"""A daemon that answers anything: our client takes it, or raises an error of its own."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import zmq
from hypothesis import strategies as st

from devsynthctl import Client
from devsynthd.transport.router import TERMINATION_LIMIT_S
from devsynthd.transport.termination import terminate
from devsynthd.wire.codec import Encoding
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.events import NEWS_TYPES
from devsynthd.wire.replies import Chunk, Error, Event, Progress, ReceivedResult
from devsynthd.wire.results import RESULT_TYPES
from tests.fuzz.answers import is_clean
from tests.fuzz.damage import damaged, torn, written
from tests.fuzz.shapes import Hints, fields_of, mostly
from tests.fuzz.target import Check, Target

LIMIT_S = 20

_MARK = "<the id>"
_ID: Hints = {"id": st.just(_MARK)}

Asked = tuple[str, Sequence[bytes]]
"""An op, and the bodies that answer it, in which a mark stands for the id."""


def _reply(fields: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[bytes]:
    names = ["type", "id", "result", "seq", "text", "error", "data"]
    return torn(damaged(fields, names).map(lambda pairs: written(pairs, Encoding.MSGPACK)))


def _results(op: str) -> st.SearchStrategy[bytes]:
    return _reply(fields_of(ReceivedResult, {**_ID, "result": fields_of(RESULT_TYPES[op])}))


_NEWS = st.one_of(*[fields_of(news) for news in NEWS_TYPES.values()])
_OTHERS = st.one_of(
    _reply(fields_of(Chunk, {**_ID, "seq": st.integers(0, 2)})),
    _reply(fields_of(Progress, _ID)),
    _reply(fields_of(Event, {**_ID, "data": _NEWS})),
    _reply(fields_of(Error, {"id": st.just(_MARK) | st.none()})),
    st.binary(max_size=40),
)


_BODIES: dict[str, st.SearchStrategy[list[bytes]]] = {
    op: st.lists(mostly(_results(op), _OTHERS, tenths=6), max_size=3) for op in RESULT_TYPES
} | {"subscribe": st.lists(_OTHERS, max_size=3)}


def _asked(ops: Iterable[str]) -> st.SearchStrategy[Asked]:
    by_op = [st.tuples(st.just(op), _BODIES[op]) for op in sorted(ops)]
    return st.integers(0, len(by_op) - 1).flatmap(by_op.__getitem__)


# A blocking client ----------------------------------------------------------------------------

ASKS: dict[str, Callable[[Client], object]] = {
    "ping": lambda client: client.ping(),
    "status": lambda client: client.status(),
    "list": lambda client: client.list(),
    "select": lambda client: client.select("a"),
    "generate": lambda client: [*client.stream("hi")],
    "embed": lambda client: client.embed(["a"]),
    "load": lambda client: client.load("a", on_progress=lambda _: None),
    "unload": lambda client: client.unload("a"),
    "download": lambda client: client.download("a", on_progress=lambda _: None),
    "cancel": lambda client: client.cancel("x"),
    "config_get": lambda client: client.config_get(),
    "config_set": lambda client: client.config_set("llm_model", "a"),
    "reload": lambda client: client.reload(),
    "shutdown": lambda client: client.shutdown(),
    "subscribe": lambda client: [news.data for news in client.subscribe()],
}


ASKED: st.SearchStrategy[Asked] = _asked(ASKS)


class Liar:
    """A ROUTER at *path* that answers each request with *bodies*, and then as is right."""

    def __init__(self, path: Path) -> None:
        self.bodies: Sequence[bytes] = ()
        self._context = zmq.Context[zmq.Socket[bytes]]()
        self._router = self._context.socket(zmq.ROUTER)
        self._router.setsockopt(zmq.LINGER, 0)
        self._router.bind(f"ipc://{path}")
        self._thread = threading.Thread(target=self._run, name="liar")
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        terminate(self._context, TERMINATION_LIMIT_S)
        self._thread.join()

    def _run(self) -> None:
        with self._router, suppress(zmq.ContextTerminated):
            while True:
                peer, body = self._router.recv_multipart()
                request = msgspec.msgpack.decode(body)
                error = {"code": "cancelled", "message": "it is over"}
                last = {"type": "error", "id": request["id"], "error": error}
                for reply in [*self.bodies, msgspec.msgpack.encode(last)]:
                    real = msgspec.msgpack.encode(request["id"])
                    told = reply.replace(msgspec.msgpack.encode(_MARK), real)
                    self._router.send_multipart([peer, told])


@contextmanager
def _lied_to(folder: Path) -> Iterator[Check]:
    path = folder / "s.sock"
    liar = Liar(path)

    def check(asked: Asked) -> None:
        op, liar.bodies = asked
        code = None
        with Client(path, timeout=LIMIT_S) as client:
            try:
                ASKS[op](client)
            except DevsynthError as exc:
                code = str(exc.code)
        assert code != "no_answer"

    try:
        yield check
    finally:
        liar.close()


# The commands ---------------------------------------------------------------------------------

COMMANDS: dict[str, tuple[str, ...]] = {
    "ping": ("ping",),
    "status": ("status",),
    "list": ("models",),
    "select": ("select", "a"),
    "generate": ("generate", "hi", "-n"),
    "embed": ("embed", "x"),
    "load": ("load", "a"),
    "unload": ("unload", "a"),
    "download": ("download", "a"),
    "cancel": ("cancel", "1"),
    "config_get": ("config", "list"),
    "config_set": ("config", "set", "llm_model", "a"),
    "reload": ("reload",),
    "subscribe": ("events",),
}
_STATUSES = {0, 1, 2, 3, 4, 5, 6, 7, 78, 130}


@contextmanager
def _commands(folder: Path) -> Iterator[Check]:
    path = folder / "s.sock"
    liar = Liar(path)
    command = [sys.executable, "-m", "devsynthctl", "--socket", str(path)]
    environ = {name: each for name, each in os.environ.items() if not name.startswith("DEVSYNTH_")}

    def check(asked: Asked) -> None:
        op, liar.bodies = asked
        ended = subprocess.run(
            [*command, *COMMANDS[op]],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
        )
        said = ended.stderr.decode()
        assert ended.returncode in _STATUSES, said
        assert "Traceback" not in said, said
        assert all(is_clean(line) for line in said.split("\n")), said
        shown = ended.stdout.decode()
        if op != "generate":  # what a model writes goes into a pipe as it is
            assert all(is_clean(line.replace("\t", "")) for line in shown.split("\n")), shown

    try:
        yield check
    finally:
        liar.close()


REPLIES = Target("replies", ASKED, _lied_to, share=5)
COMMANDS_TARGET = Target("commands", _asked(COMMANDS), _commands, share=1)
