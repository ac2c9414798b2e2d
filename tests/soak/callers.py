"""Clients of a soak that use what we give to others: both libraries, and the command line."""

import asyncio
import random
import threading
from collections.abc import Callable
from typing import Any

from devsynthctl import AsyncClient, Client
from devsynthd.wire.errors import DevsynthError, ErrorCode
from devsynthd.wire.requests import Value
from devsynthd.wire.results import AnyResult, Selected, SettingOutcome
from tests.soak.book import Book
from tests.soak.desk import Desk
from tests.soak.entry import LOST, Entry
from tests.soak.plan import Conduct, Order
from tests.soak.script import ANSWERED, CHAT_MODELS

TASKS = 8
PAUSE_S = 0.2

MAY_BE_REFUSED = frozenset({ANSWERED, ErrorCode.CONFIG_INVALID})
_NO_ENGINE = frozenset(
    {
        ANSWERED,
        ErrorCode.MODEL_NOT_FOUND,  # the upstream is there after all
        ErrorCode.UPSTREAM_UNAVAILABLE,
        ErrorCode.UPSTREAM_ERROR,
        ErrorCode.INCOMPLETE,  # the engine was killed
    }
)


def ask(desk: Desk, order: Order, call: Callable[[], AnyResult]) -> Entry:
    """Put *order* down, and what *call*, which asks for it, comes to."""
    entry = desk.open(order)
    try:
        result = call()
    except DevsynthError as exc:
        desk.error(entry, exc)
    else:
        desk.result(entry, result)
    return entry


class Blocking:
    """The blocking client: generations, streams that are left early, embeddings, lists."""

    def __init__(self, client: Client, desk: Desk, conduct: Conduct, draw: random.Random) -> None:
        self._client, self._desk, self._conduct, self._draw = client, desk, conduct, draw

    def step(self, over: threading.Event) -> None:
        """Ask for something and read the answer, or some of it."""
        order = self._conduct.request()
        if order.fields.get("stream"):
            self._stream(order)
        elif order.op == "generate":
            fields = {name: value for name, value in order.fields.items() if name != "stream"}
            fields.pop("progress")
            ask(self._desk, order, lambda: self._client.generate(**fields))
        else:
            ask(self._desk, order, lambda: self._client.embed(**order.fields))
        aside = Order(op="list", fields={"refresh": self._draw.random() < 0.2})
        ask(self._desk, aside, lambda: self._client.list(**aside.fields))
        over.wait(self._draw.uniform(0, PAUSE_S))

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _stream(self, order: Order) -> None:
        fields = {name: value for name, value in order.fields.items() if name != "stream"}
        fields.pop("progress")
        leaves_after = self._draw.randint(1, 200)
        entry = self._desk.open(order)
        try:
            with self._client.stream(**fields) as stream:
                for chunk in stream:
                    self._desk.tell(entry, entry.take_chunk(chunk))
                    if entry.chunks == leaves_after:
                        self._desk.vanish(entry, cancels=True)
                        return
                result = stream.result
        except DevsynthError as exc:
            self._desk.error(entry, exc)
        else:
            self._desk.result(entry, result)


class Asyncio:
    """The asyncio client: tasks that share a connection, and are cancelled now and then."""

    def __init__(self, endpoint: str, desk: Desk, conduct: Conduct, draw: random.Random) -> None:
        self._endpoint, self._desk, self._conduct, self._draw = endpoint, desk, conduct, draw

    def step(self, over: threading.Event) -> None:
        """Run until it is *over*."""
        asyncio.run(self._run(over))

    def close(self) -> None:
        """Nothing is held."""

    async def _run(self, over: threading.Event) -> None:
        async with AsyncClient(self._endpoint) as client, asyncio.TaskGroup() as tasks:
            for _ in range(TASKS):
                tasks.create_task(self._ask_again(client, over))

    async def _ask_again(self, client: AsyncClient, over: threading.Event) -> None:
        while not over.is_set():  # it is another thread's
            order = self._conduct.request()
            limit_s = self._draw.uniform(0, 4) if self._draw.random() < 0.2 else None
            entry = self._desk.open(order)
            try:
                async with asyncio.timeout(limit_s):
                    await self._ask(client, entry)
            except TimeoutError:  # a task that was cancelled
                if entry.outcome is None:
                    self._desk.vanish(entry, cancels=True)
            except DevsynthError as exc:
                self._desk.error(entry, exc)
                await asyncio.sleep(PAUSE_S)

    async def _ask(self, client: AsyncClient, entry: Entry) -> None:
        fields = {k: v for k, v in entry.order.fields.items() if k not in {"stream", "progress"}}
        result: AnyResult
        if entry.order.op == "embed":
            result = await client.embed(**fields)
        elif entry.order.fields["stream"]:
            async with client.stream(**fields) as stream:
                async for chunk in stream:
                    self._desk.tell(entry, entry.take_chunk(chunk))
                result = stream.result
        else:
            result = await client.generate(**fields)
        self._desk.result(entry, result)


class Setter:
    """Sets keys and selects models, and holds the daemon to what it says of the file."""

    def __init__(self, book: Book, endpoint: str, desk: Desk, draw: random.Random) -> None:
        self._book, self._desk, self._draw = book, desk, draw
        self._client = Client(endpoint)

    def step(self, over: threading.Event) -> None:
        """Set one key."""
        key, value = self._draw.choice(
            (
                ("llm_temperature", round(self._draw.uniform(0, 2), 3)),
                ("llm_max_tokens", self._draw.randint(1000, 10**6)),
                ("llm_first_token_timeout", self._draw.randint(200, 400)),
                ("llm_model", self._draw.choice(CHAT_MODELS)),
            )
        )
        with self._book.asked_to_set(key, value):
            if key == "llm_model":
                order = Order(op="select", may_end=MAY_BE_REFUSED)
                entry = ask(self._desk, order, lambda: self._select(value))
            else:
                order = Order(op="config_set", may_end=MAY_BE_REFUSED)
                entry = ask(self._desk, order, lambda: self._set(key, value))
            self._judge(entry, key, value)
        over.wait(self._draw.uniform(0, PAUSE_S))

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _set(self, key: str, value: Value) -> SettingOutcome:
        outcome = self._client.config_set(key, value)
        if (outcome.value, outcome.effective) != (value, value):
            self._desk.tell(f"{key} = {value}", [f"what came of it: {outcome}"])
        return outcome

    def _select(self, model: Any) -> Selected:  # noqa: ANN401 - a Value that is text
        selected = self._client.select(model)
        self._persisted = selected.persisted
        if selected.selection.model != model:
            self._desk.tell(f"select {model}", [f"what came of it: {selected}"])
        return selected

    def _judge(self, entry: Entry, key: str, value: Value) -> None:
        if entry.outcome == ANSWERED and (key != "llm_model" or self._persisted):
            self._desk.did("settings written")
            self._desk.tell(f"{key} = {value}", self._book.acknowledged(key, value))
        elif entry.outcome != LOST:
            self._book.refused(key)
        # Else it may be written or not, and the file will say which.


class EngineUser:
    """Asks for the embedded engine while the upstream is away."""

    def __init__(
        self, endpoint: str, desk: Desk, is_away: Callable[[], bool], draw: random.Random
    ) -> None:
        self._client, self._desk = Client(endpoint), desk
        self._is_away, self._draw = is_away, draw

    def step(self, over: threading.Event) -> None:
        """Ask if it can be that the engine answers."""
        over.wait(PAUSE_S)
        if not self._is_away():
            return
        fields = {"prompt": "Say hello.", "model": "local_model"}
        order = Order(op="generate", fields=fields, may_end=_NO_ENGINE)
        entry = ask(
            self._desk,
            order,
            lambda: self._client.generate("Say hello.", model="local_model", max_tokens=8),
        )
        if entry.outcome == ANSWERED:
            self._desk.did("answers of the engine")

    def close(self) -> None:
        """Leave."""
        self._client.close()
