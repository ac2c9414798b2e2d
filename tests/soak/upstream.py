"""The upstream of a soak: it does what each prompt says, and goes away now and then."""

import asyncio
import contextlib
import json
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from devsynthd.upstream.events import MAX_LINE_BYTES
from tests.lmstudio.clock import WallClock
from tests.lmstudio.faults import instead
from tests.lmstudio.models import Model
from tests.lmstudio.paths import CHAT, EMBEDDINGS
from tests.lmstudio.studio import LMStudio
from tests.soak.outages import Outages
from tests.soak.script import (
    CHAT_MODELS,
    VECTOR_MODEL,
    Kind,
    Script,
    chance,
    deltas_of,
    script_in,
    vectors_of,
)
from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, piece, silence, status, tokens, usage
from tests.support.upstream_server import UpstreamServer

NOTICED_S = 3.0
"""How long after its return the daemon may go by what it knew: 1 s, and more if it is busy."""

SLOTS = 64
"""Answers at a time of each of LM Studio's models."""

HUNG_S = 0.05

_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST_PORT = 5000


class SoakUpstream:
    """An OpenAI-like server and an LM Studio, that say the same.

    Each starts anew on the port that it had. Asked from any thread, moved from one; *outages* are
    those of both, and of whoever keeps the daemon from finding them.
    """

    def __init__(self) -> None:
        self.outages = Outages(NOTICED_S)
        self.restarts = self.hangs = 0
        self._lock = threading.Lock()
        self._arrivals: Counter[str] = Counter()
        self._is_away = False
        self._going_on = threading.Event()
        self._going_on.set()
        self._server = self._on_spare_port()
        self.port, self.url = self._server.port, self._server.url
        self._server.start()
        self._studio = self._lm_studio(_spare_port())
        self._studio.start()
        self.studio_url = self._studio.url

    @property
    def servers(self) -> tuple[dict[str, str], dict[str, str]]:
        """The settings for the one and for the other."""
        return (
            {"llm_provider": "openai", "llm_api_base": self.url},
            {"llm_provider": "lmstudio", "llm_api_base": self.studio_url},
        )

    def be_away(self, over: threading.Event, seconds: float) -> None:
        """Break off what is under way, and listen to nobody for so long, or until it is *over*."""
        with self.outages.during():
            self._is_away = True
            self._server.stop()
            self._studio.stop()
            over.wait(seconds)
            self._is_away = False
            self._server = UpstreamServer(port=self.port, answer=self._answer)
            self._server.start()
            self._studio.start()
            self.restarts += 1

    def is_away(self) -> bool:
        """Return whether nobody listens."""
        return self._is_away

    def hang(self, over: threading.Event, seconds: float) -> None:
        """Accept everything, and answer nothing for so long, or until it is *over*."""
        with self.outages.during():
            self._going_on.clear()
            over.wait(seconds)
            self._going_on.set()
            self.hangs += 1

    def close(self) -> None:
        """Go for good."""
        self._server.stop()
        self._studio.stop()

    def arrivals(self, key: str) -> int:
        """Return how often the script *key* has come."""
        with self._lock:
            return self._arrivals[key]

    def under_way(self) -> int:
        """Return how many exchanges have not ended, of those since it came back."""
        exchanges = [
            *self._server.generations,
            *self._server.lists,
            *self._studio.requests(),
        ]
        return sum(not exchange.ended.is_set() for exchange in exchanges)

    def _on_spare_port(self) -> UpstreamServer:
        """Return a server on a port that the system gives to nobody who asks for any.

        So nobody else takes it meanwhile, and no connection to it connects to itself.
        """
        while True:
            with contextlib.suppress(OSError):
                return UpstreamServer(port=_spare_port(), answer=self._answer)

    def _lm_studio(self, port: int) -> LMStudio:
        """Return one with the same models, all of them loaded, that says what the script says."""
        models = [
            *(Model(key=name, display_name=name) for name in CHAT_MODELS),
            Model(key=VECTOR_MODEL, display_name=VECTOR_MODEL, kind="embedding"),
        ]
        studio = LMStudio("v1", models, port=port, clock=WallClock())
        for model in models:
            instance = studio.load(model.key)
            instance.config = replace(instance.config, parallel=SLOTS)
        for path in (CHAT, EMBEDDINGS):
            studio.next_fault(instead(self._by_script), path=path, times=sys.maxsize)
        return studio

    async def _by_script(self, exchange: Exchange) -> None:
        await self._answer(exchange)(exchange)

    def _answer(self, exchange: Exchange) -> Reply:
        reply = self._reply(exchange)
        return reply if self._going_on.is_set() else self._later(reply)

    def _later(self, reply: Reply) -> Reply:
        async def wait(exchange: Exchange) -> None:
            while not self._going_on.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(HUNG_S)
            await reply(exchange)

        return wait

    def _reply(self, exchange: Exchange) -> Reply:
        if exchange.method == "GET":
            names = (*CHAT_MODELS, VECTOR_MODEL)
            entries = [{"id": name, "object": "model", "owned_by": "tests"} for name in names]
            return status(200, {"object": "list", "data": entries})
        body = exchange.body
        texts = body.get("input")
        try:
            script = script_in(texts[0] if texts else body["messages"][-1]["content"])
        except msgspec.DecodeError:  # the doctor's own words
            return tokens("Hello", " world")
        with self._lock:
            self._arrivals[script.key] += 1
            is_first = self._arrivals[script.key] == 1
        if texts:
            return _vectors(script, texts)
        return _CHATS.get(script.kind, _whole)(script, is_first=is_first)


def _spare_port() -> int:
    above = int(_PORT_RANGE.read_text("ascii").split()[0])
    return chance(time.time_ns()).randrange(_LOWEST_PORT, above)


def _vectors(script: Script, texts: list[str]) -> Reply:
    rows = vectors_of(texts)
    if script.kind is Kind.BAD_VECTORS:
        rows = rows[1:]
    return status(
        200,
        {
            "object": "list",
            "data": [{"embedding": row, "index": index} for index, row in enumerate(rows)],
            "model": VECTOR_MODEL,
            "usage": {"prompt_tokens": 4, "total_tokens": 4},
        },
    )


def _whole(script: Script, *, is_first: bool) -> Reply:
    """Answer with all of it."""
    if script.kind is Kind.RELOADED and is_first:
        return status(400, {"error": {"message": "Model reloaded."}})

    async def reply(exchange: Exchange) -> None:
        deltas = deltas_of(script)
        await exchange.head()
        await _say(exchange, script, len(deltas))
        model = exchange.body["model"]
        await _event(exchange, script, piece(finish_reason="stop", model=model))
        await _event(exchange, script, usage(completion=len(deltas), model=model))
        if script.kind is not Kind.NO_DONE:
            await exchange.event("[DONE]")
        await exchange.end()

    return reply


def _broken_off(script: Script, *, is_first: bool) -> Reply:
    """Answer with the good pieces, then break off as the kind of *script* has it."""
    del is_first

    async def reply(exchange: Exchange) -> None:
        await exchange.head()
        await _say(exchange, script, script.good_pieces)
        match script.kind:
            case Kind.RESET_LATER:
                exchange.reset()
            case Kind.UNFINISHED:
                await exchange.end()
            case Kind.ERROR_FIRST | Kind.ERROR_LATER:
                await exchange.event({"error": {"message": "out of order"}})
                await asyncio.Event().wait()
            case Kind.LONG_LINE:
                await exchange.event(piece("x" * MAX_LINE_BYTES, model=exchange.body["model"]))
                await exchange.end()
            case _:
                await asyncio.Event().wait()

    return reply


def _reset_first(_: Script, *, is_first: bool) -> Reply:
    del is_first

    async def reply(exchange: Exchange) -> None:
        exchange.reset()

    return reply


def _refused(script: Script, *, is_first: bool) -> Reply:
    del is_first
    if script.kind is Kind.STATUS_500:
        return status(500, {"error": {"message": "out of order"}})
    return status(400, {"error": "Channel Error"})


def _silent(_: Script, *, is_first: bool) -> Reply:
    del is_first
    return silence()


_CHATS = {
    Kind.STATUS_500: _refused,
    Kind.CHANNEL_ERROR: _refused,
    Kind.RESET_FIRST: _reset_first,
    Kind.SILENT: _silent,
    **dict.fromkeys(
        (
            Kind.ERROR_FIRST,
            Kind.ERROR_LATER,
            Kind.RESET_LATER,
            Kind.UNFINISHED,
            Kind.SILENT_LATER,
            Kind.LONG_LINE,
        ),
        _broken_off,
    ),
}
"""What answers a chat of each kind; ``_whole`` where nothing is said."""


async def _say(exchange: Exchange, script: Script, count: int) -> None:
    """Send the first *count* pieces at their pace; what comes next waits as long as they did."""
    model = exchange.body["model"]
    for delta in deltas_of(script)[:count]:
        await _event(exchange, script, piece(model=model, **delta))
        await asyncio.sleep(1 / script.pieces_per_s)


async def _event(exchange: Exchange, script: Script, value: dict[str, Any]) -> None:
    """Send *value* as an event: its text escaped or not, whole or cut, as *script* has it."""
    is_plain = script.pieces % 2 == 0
    text = msgspec.json.encode(value) if is_plain else json.dumps(value).encode()
    data = b"data: " + text + b"\n\n"
    cut = len(data) // 2 + script.pieces % 7 if script.pieces % 3 == 0 else len(data)
    for part in filter(None, (data[:cut], data[cut:])):
        await exchange.chunk(part)
