"""What becomes of right bodies on a bad day: fields that are lost, wrong, twice; bytes that are."""

import copy
import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
from hypothesis import strategies as st

from devsynthd.wire.codec import Encoding
from tests.fuzz.shapes import JSON, ODD_TEXTS, Fields

Pairs = list[tuple[str, Any]]
"""The fields of a map, in the order in which they are written; a name may come twice."""


class Written(NamedTuple):
    """A value as it stands in a body, in either encoding: what no encoder would write."""

    json: bytes
    msgpack: bytes


def deep(depth: int) -> Written:
    """Return lists inside each other."""
    return Written(b"[" * depth + b"]" * depth, b"\x91" * depth + b"\xc0")


def long_text(characters: int) -> Written:
    """Return a text."""
    text = "x" * characters
    return Written(msgspec.json.encode(text), msgspec.msgpack.encode(text))


def many(count: int) -> Written:
    """Return a list of so many texts."""
    return Written(msgspec.json.encode(["x"] * count), msgspec.msgpack.encode(["x"] * count))


ODD_VALUES = st.sampled_from(
    [
        Written(b"NaN", b"\xcb\x7f\xf8\0\0\0\0\0\0"),
        Written(b"1e999", b"\xcb\x7f\xf0\0\0\0\0\0\0"),
        Written(b"9" * 400, b"\xcf" + b"\xff" * 8),
        Written(b"9" * 5000, b"\xd3\x80" + bytes(7)),
        Written(b"-0", b"\xcb\x80" + bytes(7)),
        Written(b"01", b"\xc1"),
        Written(b'"\xff"', b"\xa1\xff"),
        Written(b'"\\ud800"', b"\xa3\xed\xa0\x80"),
        Written(b'"\\ud83d\\ude00"', b"\xa4\xf0\x9f\x98\x80"),
        Written(b'"\0"', b"\xa1\0"),
        Written(b'{"a":1,"a":2}', b"\x82\xa1a\x01\xa1a\x02"),
        Written(b"{1:1}", b"\x81\x01\x01"),
        Written(b'{"":{}}', b"\x81\x80\x01"),
        Written(b"[1,]", b"\xdd\xff\xff\xff\xff"),
        Written(b'"', b"\xdb\xff\xff\xff\xff"),
        Written(b"", b"\xdf\xff\xff\xff\xff"),
        Written(b"/**/1", b"\xc4\x01\xff"),
        Written(b"'x'", b"\xd4\x05x"),
        Written(b"True", b"\xd6\xff\0\0\0\0"),
        Written(b'"2020-01-01T00:00:00Z"', b"\xc7\x0c\xff" + b"\xff" * 12),
    ]
)
_BIG = st.sampled_from([-1, 2**31, 2**53, 2**63, 2**64, 10**30, 1e308])
HUGE = st.sampled_from(
    [
        # None near the interpreter's limit, which is another one for each caller.
        *(deep(depth) for depth in (20, 127, 128, 129, 500, 5000)),
        *(long_text(length) for length in (1025, 70_000, 2**20 + 1)),
        *(many(count) for count in (64, 65, 1025, 4097, 70_000)),
    ]
)
_SPELLINGS = st.sampled_from([str.upper, lambda name: f"{name}s", lambda name: name[1:]])


@st.composite
def damaged(draw: st.DrawFn, whole: st.SearchStrategy[Fields], names: list[str]) -> Pairs:
    """Return the fields of one of *whole*, as they are or with a fault or two.

    *names* are those that a field may be given instead of its own.
    """
    pairs: Pairs = list(draw(whole).items())
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        if not pairs:
            break
        place = draw(st.integers(0, len(pairs) - 1))
        if place == 0 and draw(st.booleans()):
            place = len(pairs) - 1  # the first is the tag, and hypothesis likes the first
        name, value = pairs[place]
        match draw(st.sampled_from(["drop", "retype", "odd", "huge", "spell", "rename", "twice"])):
            case "drop":
                del pairs[place]
            case "retype":
                pairs[place] = (name, draw(JSON))
            case "odd":
                pairs[place] = (name, draw(ODD_VALUES))
            case "huge":
                pairs[place] = (name, draw(HUGE))
            case "spell":
                pairs[place] = (draw(_SPELLINGS)(name), value)
            case "rename":
                pairs[place] = (draw(st.sampled_from(names) | ODD_TEXTS), value)
            case _:
                again = draw(st.sampled_from([value, None, value]) | JSON)
                pairs.insert(draw(st.integers(0, len(pairs))), (name, again))
    return pairs


def written(pairs: Pairs, encoding: Encoding) -> bytes:
    """Return the body of a map with *pairs*."""
    if encoding is Encoding.JSON:
        texts = [msgspec.json.encode(name) + b":" + _value(each, encoding) for name, each in pairs]
        return b"{" + b",".join(texts) + b"}"
    head = bytes([0x80 | len(pairs)]) if len(pairs) < 16 else b"\xde" + len(pairs).to_bytes(2)
    return head + b"".join(
        msgspec.msgpack.encode(name) + _value(each, encoding) for name, each in pairs
    )


def _value(value: object, encoding: Encoding) -> bytes:
    if isinstance(value, Written):
        return value.json if encoding is Encoding.JSON else value.msgpack
    encode = msgspec.json.encode if encoding is Encoding.JSON else msgspec.msgpack.encode
    return encode(value)


@st.composite
def torn(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Return one of *whole*, mostly as it is, else with bits, bytes or its end wrong."""
    body = bytearray(draw(whole))
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2]))):
        place = draw(st.integers(0, len(body)))
        match draw(st.sampled_from(["cut", "flip", "remove", "insert", "repeat", "more"])):
            case "cut":
                del body[place:]
            case "flip" if place < len(body):
                body[place] ^= 1 << draw(st.integers(0, 7))
            case "remove":
                del body[place : place + draw(st.integers(1, 5))]
            case "insert":
                body[place:place] = draw(st.binary(min_size=1, max_size=5))
            case "repeat":
                body[place:place] = body[place : place + draw(st.integers(1, 5))]
            case _:
                body += draw(st.binary(max_size=5))
    return bytes(body)


@st.composite
def near(draw: st.DrawFn, right: Sequence[object]) -> bytes:
    """Return the JSON text of one of *right*, as it is or with something else in some places."""
    root = [copy.deepcopy(draw(st.sampled_from(right)))]
    odd: dict[bytes, bytes] = {}
    for number in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        places = list(_places(root))
        holder, key = places[draw(st.integers(0, len(places) - 1))]
        numbers = [(where, at) for where, at in places if type(where[at]) in (int, float)]
        match draw(st.sampled_from(["value", "number", "odd", "remove", "move", "again"])):
            case "value":
                holder[key] = draw(JSON)
            case "number" if numbers:
                where, at = numbers[draw(st.integers(0, len(numbers) - 1))]
                where[at] = draw(_BIG)
            case "odd":
                holder[key] = f"odd {number}"
                odd[b'"odd %d"' % number] = draw(ODD_VALUES).json
            case "remove" if holder is not root:
                del holder[key]
            case "again" if holder is not root and isinstance(holder, list):
                holder.insert(key, holder[key])
            case _:
                other, there = places[draw(st.integers(0, len(places) - 1))]
                holder[key] = copy.deepcopy(other[there])
    text = json.dumps(root[0]).encode()
    for mark, value in odd.items():
        text = text.replace(mark, value)
    return text


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:  # noqa: ANN401 - JSON is anything
    """Yield every map or list in *holder*, and *holder*, with each of its keys."""
    for key in list(holder) if isinstance(holder, dict) else range(len(holder)):
        yield holder, key
        if isinstance(holder[key], dict | list):
            yield from _places(holder[key])
