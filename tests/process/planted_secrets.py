"""Secrets that are planted, servers that repeat them, and the search for them in what comes out."""

import base64
import html
import json
import re
import string
from collections import deque
from collections.abc import Iterable, Iterator
from urllib.parse import quote

from tests.support.upstream_exchange import Exchange
from tests.support.upstream_replies import Reply, events, piece, redirect, status, vectors

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}")
_STANDARD = str.maketrans("-_", "+/")


def secret(name: str, odd: str = "\"q'/@%&<=+~\\") -> str:
    """Return a secret that is found by its core, which only it has, with *odd* characters in it."""
    return f"{core(name)}{odd}tail-of-{core(name)}"


def core(name: str) -> str:
    """Return the part of that secret that no spelling changes."""
    return f"planted{name}4711"


def found(names: Iterable[str], text: str) -> set[str]:
    """Return those of *names* whose secrets stand in *text*, as they are or in base64."""
    texts = [text, *_decoded(text)]
    return {name for name in names if any(core(name) in each for each in texts)}


def _decoded(text: str) -> Iterator[str]:
    """Yield what could be meant by each part of *text* that could be base64."""
    for run in _BASE64.findall(text):
        for start in range(4):
            part = run[start:].translate(_STANDARD)
            yield base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1")


def spellings(value: str) -> str:
    """Return *value* in all the ways that a server could repeat it in."""
    basic = base64.b64encode(f"me:{value}".encode()).decode()
    ways = (
        *(value, quote(value), quote(value, safe=""), html.escape(value)),
        *(json.dumps(value)[1:-1], repr(value), value.replace("/", "\\/")),
        *(f"Basic {basic}", basic, base64.urlsafe_b64encode(f"a{value}".encode()).decode()),
        *(f"Authorization: Bearer {value}", f"http://me:{value}@gpu.example/v1?key={value}"),
    )
    assert all(each in string.printable for each in "".join(ways))
    return " | ".join(ways)


class Echo:
    """A server that answers, and fails in every way with *said* in what it says."""

    def __init__(self, said: str, elsewhere: str) -> None:
        good = events(piece("Hello"), piece(finish_reason="stop"), "[DONE]")
        html_page = f"<html><title>{html.escape(said)}</title>{html.escape(said)}</html>"
        self.failures: tuple[Reply, ...] = (
            status(400, {"error": {"message": said, "code": said, "type": said}}),
            status(401, {"error": {"message": said, "code": "invalid_api_key"}}),
            status(404, {"error": {"message": f"the model {said} was not found"}}),
            status(422, {"detail": [{"msg": said, "input": said}]}),
            status(500, {"error": said}),
            status(502, html_page.encode(), "text/html"),
            status(503, said.encode(), "text/plain"),
            status(200, {"error": said}),
            status(200, {"unexpected": said}),
            redirect(f"{elsewhere}?{quote(said)}"),
            events(piece("Hel"), {"error": {"message": said}}),
            events(piece("Hel"), f"{said} is no JSON"),
            events(piece("Hel"), end=False),
        )
        self._good = good
        self._next: deque[Reply] = deque()
        self._lists = True
        self.headers: list[dict[str, str]] = []

    def fail_once_each(self) -> int:
        """Have the next generations fail, one in each way; return how many that are."""
        self._next.extend(self.failures)
        return len(self.failures)

    def fail_lists(self) -> None:
        """Have lists fail from now on."""
        self._lists = False

    def heal(self) -> None:
        """Have them succeed again."""
        self._lists = True

    def answer(self, exchange: Exchange) -> Reply:
        """Return the reply to *exchange*."""
        self.headers.append(exchange.headers)
        if exchange.method == "GET" and not self._lists:
            return self.failures[0]
        if exchange.method == "GET":
            models = [{"id": name, "object": "model"} for name in ("m", "embed-text")]
            return status(200, {"object": "list", "data": models})
        if exchange.path.endswith("/embeddings"):
            return vectors([0.5])
        return self._next.popleft() if self._next else self._good
