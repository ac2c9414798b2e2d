"""What the clients of a soak ask for and what they do to it, by chance."""

import itertools
import math
from collections.abc import Iterator
from typing import Any, Protocol

from msgspec import Struct

from tests.soak.script import (
    CHAT_MODELS,
    SCHEMA,
    TOOLS,
    VECTOR_MODEL,
    Kind,
    Script,
    chance,
    words,
)

NONSENSE = "nonsense"
"""An op that there is not."""

MAX_PIECES = 60
SLOWEST_PER_S, FASTEST_PER_S = 5.0, 50.0

_WEIGHTS = {
    **dict.fromkeys(Kind, 3),
    Kind.TEXT: 40,
    Kind.REASONING: 8,
    Kind.TOOLS: 8,
    Kind.VECTORS: 8,
    Kind.FITTING: 5,
    Kind.RESET_FIRST: 2,
    Kind.BAD_VECTORS: 2,
    Kind.LONG_LINE: 1,
}
_NEVER_ENDS = {Kind.SILENT, Kind.SILENT_LATER}
_EMBEDS = {Kind.VECTORS, Kind.BAD_VECTORS}


class Cancelling(Struct, frozen=True, kw_only=True):
    """When the client cancels: after so many chunks, so many seconds, or when all is over.

    *twice* is at once again; *by_number* by the daemon's own number, where that is known.
    """

    after_chunks: int | None = None
    after_s: float | None = None
    afterwards: bool = False
    twice: bool = False
    by_number: bool = False


class Order(Struct, frozen=True, kw_only=True):
    """One request, without its id: *script* is what it has the upstream do, if anything.

    *may_end* are its outcomes while the daemon is there; null: what follows from the rest.
    """

    op: str
    fields: dict[str, Any] = {}
    script: Script | None = None
    cancelling: Cancelling | None = None
    may_end: frozenset[str] | None = None

    def __str__(self) -> str:
        what = "" if self.script is None else f" {self.script.kind} {self.script.key}"
        return f"{self.op}{what}"


class Conduct(Protocol):
    """How the clients behave."""

    def request(self) -> Order:
        """Return what to ask for next."""

    def aside(self) -> Order | None:
        """Return what to ask for besides, as another request has ended."""

    def stay_s(self) -> float:
        """Return for how long a new client stays."""


class WarmUp:
    """Asks for a little of everything that needs threads, connections or modules."""

    def __init__(self) -> None:
        kinds = (Kind.TEXT, Kind.REASONING, Kind.TOOLS, Kind.FITTING, Kind.VECTORS)
        self._kinds: Iterator[Kind] = itertools.cycle(kinds)
        self._numbers = itertools.count()

    def request(self) -> Order:
        """Return a request that is answered within a second."""
        kind = next(self._kinds)
        key = f"w{next(self._numbers)}"
        script = Script(key=key, kind=kind, pieces=12, good_pieces=12, pieces_per_s=20)
        return _order(script, {"stream": True})

    def aside(self) -> Order | None:
        """Return nothing."""

    def stay_s(self) -> float:
        """Return that they stay."""
        return math.inf


class Restless:
    """Asks for everything, gives up on it, and leaves without a word every minute or so."""

    def __init__(self, seed: str, *, cancels: bool = True) -> None:
        self._random, self._name = chance(seed), seed
        self._cancels = cancels
        self._numbers = itertools.count()

    def request(self) -> Order:
        """Return any request."""
        draw = self._random
        (kind,) = draw.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
        pieces = draw.randint(1, MAX_PIECES)
        script = Script(
            key=f"{self._name}.{next(self._numbers)}",
            kind=kind,
            pieces=pieces,
            good_pieces=draw.randint(1, pieces),
            pieces_per_s=draw.uniform(SLOWEST_PER_S, FASTEST_PER_S),
        )
        fields: dict[str, Any] = {}
        if kind not in _EMBEDS:
            fields = {"stream": self._is(0.8), "progress": self._is(0.2)}
            if self._is(0.5):
                fields["model"] = draw.choice(CHAT_MODELS)
            if self._is(0.1):
                fields["wait"] = 3.0
            if self._is(0.05):
                # With a limit: it may never be its turn.
                fields |= {"background": True, "timeout": draw.uniform(3, 15)}
        if "timeout" not in fields and self._is(0.1):
            fields["timeout"] = draw.uniform(0.05, 5)
        cancelling = self._cancelling()
        if kind in _NEVER_ENDS and cancelling is not None:
            cancelling = Cancelling(after_s=draw.uniform(0, 8), by_number=self._is(0.3))
        elif kind in _NEVER_ENDS:
            fields.setdefault("timeout", draw.uniform(0.05, 8))
        return _order(script, fields, cancelling)

    def aside(self) -> Order | None:
        """Return now and then a question to the daemon itself."""
        if not self._is(0.05):
            return None
        op = self._random.choice(("ping", "status", "list", NONSENSE))
        return Order(op=op, fields={"refresh": self._is(0.3)} if op == "list" else {})

    def stay_s(self) -> float:
        """Return a minute, by and large."""
        return self._random.expovariate(1 / 60)

    def _cancelling(self) -> Cancelling | None:
        draw = self._random
        if not self._cancels or self._is(0.75):
            return None
        twice, by_number = self._is(0.2), self._is(0.3)
        match draw.randrange(4):
            case 0:
                return Cancelling(after_s=0, twice=twice)
            case 1:
                return Cancelling(after_s=draw.uniform(0, 6), twice=twice, by_number=by_number)
            case 2:
                return Cancelling(afterwards=True)
            case _:
                after = draw.randint(1, MAX_PIECES // 2)
                return Cancelling(after_chunks=after, twice=twice, by_number=by_number)

    def _is(self, share: float) -> bool:
        return self._random.random() < share


def _order(script: Script, fields: dict[str, Any], cancelling: Cancelling | None = None) -> Order:
    """Return the request for *script*, with what its kind needs."""
    prompt = script.as_prompt()
    if script.kind in _EMBEDS:
        limit = {"timeout": fields["timeout"]} if "timeout" in fields else {}
        texts = [prompt, *words(script.key, script.pieces % 4)]
        return Order(
            op="embed",
            fields={"input": texts, "model": VECTOR_MODEL, **limit},
            script=script,
            cancelling=cancelling,
        )
    fields = {"prompt": prompt, "fallback": False, **fields}
    if script.kind in {Kind.FITTING, Kind.MISFITTING}:
        fields["schema"] = SCHEMA
    if script.kind is Kind.TOOLS:
        fields["tools"] = TOOLS
    return Order(op="generate", fields=fields, script=script, cancelling=cancelling)
