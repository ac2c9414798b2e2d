"""A reader of events: first how it is, then each change, and nothing left out without a word."""

import random
import threading
import time

from devsynthctl import Client
from devsynthctl.news import News
from devsynthctl.subscription import Subscription
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.events import ConfigNews, RequestsNews
from devsynthd.wire.objects import RequestInfo
from devsynthd.wire.requests import Topic
from devsynthd.wire.results import Models
from tests.soak.desk import Desk
from tests.soak.plan import Order

TOPICS: tuple[Topic, ...] = ("models", "upstream", "config", "requests")
WAIT_S = 0.5
SLOW_S = 3.0
STAY_S = 60.0
END_S = 50.0

_ENDS = {"done", "failed", "cancelled"}


class Heard:
    """What one subscription has told so far; ``take`` returns what is wrong with the next. Pure."""

    def __init__(self) -> None:
        self._topics: set[Topic] = set()
        self._generation = self._config_generation = -1
        self._under_way: dict[int, str] = {}
        self._ended: set[int] = set()

    def take(self, news: News) -> list[str]:
        """Note *news*."""
        is_first = news.topic not in self._topics
        self._topics.add(news.topic)
        problems = []
        if news.snapshot != (is_first or bool(news.missed)) and news.topic in {
            "requests",
            "config",
        }:
            problems.append(f"{news!r} comes {'first' if is_first else 'later'}")
        match news.data:
            case Models(generation=generation):
                if generation <= self._generation and not news.snapshot:
                    problems.append(f"generation {generation} comes after {self._generation}")
                self._generation = generation
            case ConfigNews(config_generation=generation):
                if generation < self._config_generation:
                    problems.append(f"config {generation} comes after {self._config_generation}")
                self._config_generation = generation
            case RequestsNews(requests=requests):
                if news.snapshot:
                    self._under_way = {
                        each.request: each.state for each in requests if each.op != "subscribe"
                    }
                else:
                    problems += [text for each in requests for text in self._change(each)]
            case _:
                pass
        return problems

    def left(self) -> list[str]:
        """Return the requests whose end was not told, but for those of readers like this one."""
        return [f"request {number} is {state}" for number, state in self._under_way.items()]

    def _change(self, request: RequestInfo) -> list[str]:
        number = request.request
        if number in self._ended:
            return [f"request {number} is {request.state} after its end"]
        if request.state in _ENDS:
            self._under_way.pop(number, None)
            self._ended.add(number)
        elif request.op != "subscribe":
            self._under_way[number] = request.state
        return []


class Subscriber:
    """One step is one subscription, from its snapshots until it ends; one in three reads slowly."""

    def __init__(self, endpoint: str, desk: Desk, draw: random.Random) -> None:
        self._client, self._desk, self._draw = Client(endpoint), desk, draw

    def step(self, over: threading.Event) -> None:
        """Listen for a while."""
        entry = self._desk.open(Order(op="subscribe"))
        heard, is_slow = Heard(), self._draw.random() < 0.33
        until = time.monotonic() + self._draw.uniform(5, STAY_S)
        try:
            with self._client.subscribe(TOPICS) as subscription:
                while time.monotonic() < until and not over.is_set():
                    self._read(subscription, heard, over if is_slow else None)
                if over.is_set():
                    self._hear_out(subscription, heard)
        except DevsynthError as exc:
            self._desk.error(entry, exc)
        else:
            self._desk.vanish(entry, cancels=True)

    def close(self) -> None:
        """Leave."""
        self._client.close()

    def _hear_out(self, subscription: Subscription, heard: Heard) -> None:
        """Read on until the end of everything that others have asked for was told."""
        until = time.monotonic() + END_S
        while heard.left() and time.monotonic() < until:
            self._read(subscription, heard, None)
        self._desk.tell("events", heard.left())

    def _read(
        self, subscription: Subscription, heard: Heard, slowly: threading.Event | None
    ) -> None:
        news = subscription.wait(WAIT_S)
        if news is None:
            return
        self._desk.tell("events", heard.take(news))
        self._desk.did("events")
        if news.missed:
            self._desk.did("gaps in the events, told")
        if slowly is not None and self._draw.random() < 0.005:
            slowly.wait(self._draw.uniform(0, SLOW_S))
