"""Clients of a soak that are processes of their own: ``devsynthctl``, and some are killed."""

import json
import random
import subprocess
import threading
from collections.abc import Mapping

import msgspec

from devsynthd.wire.objects import ErrorInfo
from tests.soak.book import Book
from tests.soak.callers import MAY_BE_REFUSED
from tests.soak.desk import Desk
from tests.soak.entry import LOST, Entry
from tests.soak.plan import Conduct, Order
from tests.soak.script import ANSWERED, CHAT_MODELS
from tests.support.daemon import CTL

COMMAND_LIMIT_S = 60.0


class CommandLine:
    """``devsynthctl``, a process a request; some are killed."""

    def __init__(
        self,
        environ: Mapping[str, str],
        book: Book,
        desk: Desk,
        conduct: Conduct,
        draw: random.Random,
    ) -> None:
        self._environ, self._book, self._desk = environ, book, desk
        self._conduct, self._draw = conduct, draw

    def step(self, over: threading.Event) -> None:
        """Run one command."""
        match self._draw.randrange(6):
            case 0:
                self._run(Order(op="list"), "models")
            case 1:
                self._run(Order(op="status"), "status")
            case 2:
                self._set()
            case _:
                self._generate()
        over.wait(self._draw.uniform(0.5, 2))

    def close(self) -> None:
        """Nothing is held."""

    def _generate(self) -> None:
        order = self._conduct.request()
        while order.op != "generate" or "schema" in order.fields or "tools" in order.fields:
            order = self._conduct.request()
        fields = {"prompt": order.fields["prompt"], "model": CHAT_MODELS[0]}
        limit = ["--timeout", str(order.fields["timeout"])] if "timeout" in order.fields else []
        if limit:
            fields["timeout"] = order.fields["timeout"]
        order = msgspec.structs.replace(order, fields=fields)
        options = ["--no-stream", "-n", "-m", CHAT_MODELS[0]]
        self._run(order, *limit, "generate", *options, fields["prompt"])

    def _set(self) -> None:
        key, value = "llm_connect_timeout", round(self._draw.uniform(2.5, 4), 3)
        with self._book.asked_to_set(key, value):
            order = Order(op="config_set", may_end=MAY_BE_REFUSED)
            entry = self._run(order, "config", "set", key, str(value), may_be_killed=False)
            if entry.outcome == ANSWERED:
                self._desk.tell(f"{key} = {value}", self._book.acknowledged(key, value))
            elif entry.outcome != LOST:
                self._book.refused(key)

    def _run(self, order: Order, *arguments: str, may_be_killed: bool = True) -> Entry:
        entry = self._desk.open(order)
        self._desk.did("commands")
        limit_s = COMMAND_LIMIT_S
        if may_be_killed and self._draw.random() < 0.15:
            limit_s = self._draw.uniform(0.2, 1.5)
        try:
            done = subprocess.run(
                [*CTL, "--json", *arguments],
                env=self._environ,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=limit_s,  # it is killed then
                check=False,
            )
        except subprocess.TimeoutExpired:
            self._desk.vanish(entry)
            if limit_s == COMMAND_LIMIT_S:
                self._desk.tell(entry, [f"`{arguments[0]}` has not ended after {limit_s:g} s"])
            return entry
        if done.returncode == 0:
            self._desk.read_result(entry, done.stdout)
        else:
            self._desk.error(entry, _told(done.stderr))
        return entry


def _told(stderr: bytes) -> ErrorInfo:
    """Return the error that a command has told on its last line."""
    lines = stderr.decode().splitlines()
    try:
        return msgspec.convert(json.loads(lines[-1])["error"], ErrorInfo)
    except (IndexError, ValueError, KeyError):
        return ErrorInfo(code="no_json", message=stderr.decode() or "nothing", retryable=False)
