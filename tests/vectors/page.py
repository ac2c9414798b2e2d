"""What of the document is generated: tables of fields, and exchanges with their bytes. Pure.

A block begins with ``<!-- begin KIND NAME -->`` and ends with ``<!-- end -->``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from devsynthd.wire.codec import Encoding
from tests.vectors import tables
from tests.vectors.dump import hex_rows, json_rows
from tests.vectors.vector import Message, read

PAGE = Path(__file__).parents[2] / "docs" / "protocol.md"

_BLOCK = re.compile(r"<!-- begin (\w+) ?(\S*) -->\n.*?<!-- end -->", re.DOTALL)


def renewed(text: str) -> str:
    """Return the page *text* with every block in it made anew."""

    def block(found: re.Match[str]) -> str:
        kind, name = found.groups()
        rows = "\n".join(_KINDS[kind](name))
        return f"<!-- begin {kind}{f' {name}' if name else ''} -->\n\n{rows}\n\n<!-- end -->"

    return _BLOCK.sub(block, text)


def _example(name: str) -> Iterator[str]:
    """Yield all messages of a vector, with their bytes in MessagePack."""
    yield from _exchange(name, lambda message: hex_rows(message.body(Encoding.MSGPACK)))


def _example_in_json(name: str) -> Iterator[str]:
    """Yield all messages of a vector, with their bytes in JSON."""
    yield from _exchange(name, lambda message: hex_rows(message.body(Encoding.JSON)))


def _values(name: str) -> Iterator[str]:
    """Yield all messages of a vector without their bytes."""
    yield from _exchange(name, lambda _: ())


def _exchange(name: str, shown_bytes: Callable[[Message], Iterable[str]]) -> Iterator[str]:
    vector = read(name)
    yield f"*{vector.about}*"
    yield ""
    yield "```text"
    for message in vector.messages:
        first, *rest = (*json_rows(message.value), *shown_bytes(message))
        yield f"{_ARROWS[message.sender]} {first}"
        yield from (f"   {row}" for row in rest)
    yield "```"


_ARROWS = {"client": "->", "daemon": "<-"}
_KINDS: dict[str, Callable[[str], Iterator[str]]] = {
    "fields": tables.fields,
    "common": lambda _: tables.common(),
    "codes": lambda _: tables.codes(),
    "example": _example,
    "values": _values,
    "json": _example_in_json,
}
