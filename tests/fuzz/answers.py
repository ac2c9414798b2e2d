"""What servers answer, as bytes: no parser of it fails, and all of it can be told to a client."""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
from hypothesis import strategies as st

from devsynthd.service.call import error_info
from devsynthd.upstream.answers import Answer
from devsynthd.upstream.base import Delta, Listing
from devsynthd.upstream.chunks import ChunkDecoder
from devsynthd.upstream.failures import failure_of, loads
from devsynthd.upstream.listings import listing_of
from devsynthd.upstream.lists import Body
from devsynthd.upstream.lmstudio_lists import (
    loaded_of_v0,
    models_of_v0,
    models_of_v1,
    slots_of_v1,
    with_loaded,
)
from devsynthd.upstream.vectors import vectors_of
from devsynthd.wire.codec import Encoding, encode
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.replies import Chunk, Error
from tests.fuzz.damage import near, torn
from tests.fuzz.rights import ERRORS, EVENTS, LISTS, VECTORS
from tests.fuzz.shapes import mostly
from tests.fuzz.target import Check, Target

ADDRESS = "http://127.0.0.1:1234"
MAX_SAID_CHARACTERS = 1000
_UNCLEAN = {"Cc", "Cs", "Zl", "Zp"}

# Streams -------------------------------------------------------------------------------------

_EVENTS = st.tuples(
    mostly(
        st.just(b"data: "), st.sampled_from([b"event: error\ndata: ", b"error: ", b"data:", b": "])
    ),
    mostly(
        near(EVENTS), st.sampled_from([b"[DONE]", b"", b"null", b"<html>"]), st.binary(max_size=20)
    ),
    mostly(st.just(b"\n\n"), st.just(b"\n")),
).map(b"".join)
_LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def _stream(events: list[bytes], end: bytes, line_end: bytes) -> bytes:
    return b"".join([*events, end]).replace(b"\n", line_end)


STREAMS: st.SearchStrategy[bytes] = torn(
    st.builds(
        _stream,
        st.lists(_EVENTS, max_size=6),
        st.sampled_from([b"", b"data: [DONE]\n\n"]),
        _LINE_ENDS,
    )
)
"""Event streams as servers send them, and as they should not."""


@st.composite
def _cuts(draw: st.DrawFn, body: bytes) -> list[int]:
    """Return where *body* is cut: anywhere, and where it is likely to matter."""
    ends = [place + 1 for place, byte in enumerate(body) if byte in b"\r\n"] or [0]
    return draw(st.lists(st.integers(0, len(body)) | st.sampled_from(ends), max_size=5))


@st.composite
def _chunked(draw: st.DrawFn) -> bytes:
    """Return a stream in the chunks of HTTP, some of which are none."""
    stream = draw(STREAMS)
    pieces = _cut(stream, draw(_cuts(stream)))
    sizes = [draw(_SIZES)(len(piece)) for piece in pieces if piece]
    body = b"".join(
        size + b"\r\n" + piece + b"\r\n"
        for size, piece in zip(sizes, filter(None, pieces), strict=True)
    )
    return body + draw(
        st.sampled_from([b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"0;a=b\r\n\r\nmore", b""])
    )


_SIZES: st.SearchStrategy[Callable[[int], bytes]] = mostly(
    st.just(lambda size: b"%x" % size),
    st.just(lambda size: b"%X;x=y" % size),
    st.just(lambda size: b"0%x" % (size + 1)),
    st.sampled_from([b"-1", b"", b"0x5", b"1_0", b"+5", b"f" * 30, b"\xb2", b" 5"]).map(
        lambda written: lambda _: written
    ),
    tenths=9,
)


class Sent(NamedTuple):
    """A body as it comes, in chunks or not, and where it is cut on the way."""

    body: bytes
    is_chunked: bool
    cuts: list[int]


@st.composite
def _sent(draw: st.DrawFn) -> Sent:
    is_chunked = draw(st.booleans())
    body = draw(_CHUNKED if is_chunked else STREAMS)
    return Sent(body, is_chunked, draw(_cuts(body)))


_CHUNKED = torn(_chunked())


class Read(NamedTuple):
    """What was made of a stream. The ids of calls are left out: some are made up."""

    text: str
    reasoning: str
    calls: tuple[tuple[str, str], ...]
    failure: str | None
    finished: bool


def check_stream(sent: Sent) -> None:
    """Fail if what is read of *sent* depends on how it is cut, or cannot be told."""
    pieces, whole = read(sent), read(sent._replace(cuts=[]))
    assert whole is None or pieces == whole


def read(sent: Sent) -> Read | None:
    """Return what a reader makes of *sent*, piece by piece, as the daemon's does.

    Null: it is no HTTP. What came before that depends on the pieces.
    """
    answer, framing = Answer(address=ADDRESS), ChunkDecoder()
    deltas: list[Delta] = []
    for piece in _cut(sent.body, sent.cuts):
        body = piece
        if sent.is_chunked:
            try:
                body = framing.feed(piece)
            except ValueError:
                return None
        if not answer.done:
            deltas += answer.feed(body)
        if answer.failure is not None or framing.done:
            break
    for number, delta in enumerate(deltas):
        assert delta != Delta()
        tell(Chunk(id=1, seq=number, **{name: getattr(delta, name) for name in _PARTS}))
    calls = _ended(answer)
    if answer.failure is not None:
        check_failure(answer.failure)
    return Read(
        "".join(delta.text for delta in deltas),
        "".join(delta.reasoning for delta in deltas),
        calls,
        None if answer.failure is None else str(answer.failure),
        answer.finished,
    )


_PARTS = ("text", "reasoning", "tool_calls")


def _ended(answer: Answer) -> tuple[tuple[str, str], ...]:
    try:
        ending = answer.ending()
    except DevsynthError as exc:
        check_failure(exc)
        return ()
    msgspec.msgpack.encode(ending)
    msgspec.json.encode(ending)
    return tuple((call.function.name, call.function.arguments) for call in ending.tool_calls)


def _cut(body: bytes, cuts: Sequence[int]) -> list[bytes]:
    places = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    return [body[start:end] for start, end in pairwise(places)]


# Whole bodies --------------------------------------------------------------------------------

BODIES: st.SearchStrategy[bytes] = torn(
    mostly(near([*LISTS, VECTORS, *ERRORS, *EVENTS]), st.binary(max_size=60))
)


def check_body(body: bytes) -> None:
    """Fail if anything that takes whole bodies fails on *body*, or makes what cannot be told."""
    answer = Answer(address=ADDRESS)
    answer.whole(body)
    _ended(answer)
    value = loads(body)
    for status in (200, 404, 503):
        check_failure(failure_of(status, "application/json", body, address=ADDRESS))
        try:
            listing = listing_of(status, "application/json", body, address=ADDRESS)
        except DevsynthError as exc:
            check_failure(exc)
        else:
            check_listing(listing)
    try:
        vectors = vectors_of(Body(200, "application/json", body), 2, address=ADDRESS)
    except DevsynthError as exc:
        check_failure(exc)
    else:
        msgspec.msgpack.encode(vectors)
        assert len({len(msgspec.msgpack.decode(each)) for each in vectors.vectors}) == 1
    if isinstance(value, dict):
        models = with_loaded(models_of_v1(value), loaded_of_v0(value))
        check_listing(Listing("lmstudio-v1", models, slots_of_v1(value)))
        check_listing(Listing("lmstudio-v0", models_of_v0(value)))


def check_listing(listing: Listing) -> None:
    """Fail if *listing* is not what it says that it is, or cannot be told, or kept."""
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(listing), type=Listing) == listing
    assert msgspec.json.decode(msgspec.json.encode(listing), type=Listing) == listing
    assert all(is_clean(model.name) for model in listing.models)


def check_failure(failure: DevsynthError) -> None:
    """Fail if *failure* cannot be told, or is not one short, clean line."""
    tell(Error(id=1, error=error_info(failure)))
    assert is_clean(str(failure)), str(failure)
    assert len(str(failure)) <= MAX_SAID_CHARACTERS


def is_clean(text: str) -> bool:
    """Return whether *text* is one line without control characters and halves of others."""
    return not any(unicodedata.category(each) in _UNCLEAN for each in text)


def tell(reply: Chunk | Error) -> None:
    """Fail if *reply* has no form in one of the encodings."""
    for encoding in Encoding:
        encode(reply, encoding)


@contextmanager
def _streams(_: Path) -> Iterator[Check]:
    yield check_stream


@contextmanager
def _bodies(_: Path) -> Iterator[Check]:
    yield check_body


ANSWERS = Target("answers", _sent(), _streams, share=100)
LISTINGS = Target("listings", BODIES, _bodies, share=50)
