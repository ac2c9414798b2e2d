"""What a server says of the vectors of some texts. Pure."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from devsynthd.upstream.base import Vectors
from devsynthd.upstream.entries import usable_id
from devsynthd.upstream.failures import failure_of, loads
from devsynthd.upstream.lists import Body
from devsynthd.upstream.usage import usage_of_vectors
from devsynthd.wire.errors import UpstreamError

MAX_VECTOR_BYTES = 2**21
"""The text of one vector: 65,536 numbers, each written with all its digits, take less."""

_MAX_ASIDE_BYTES = 65_536
_NULL = Raw(b"null")


class _Entry(Struct):
    embedding: Raw
    index: int | None = None


class _Envelope(Struct):
    """What is around the vectors. Raw: there may be megabytes of anything."""

    data: list[_Entry]
    model: Raw = _NULL
    usage: Raw = _NULL
    error: Raw = _NULL
    object: Raw = _NULL


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_VECTOR = msgspec.json.Decoder(list[float])  # msgspec takes no number that is not finite


def vectors_of(body: Body, count: int, *, address: str, secrets: tuple[str, ...] = ()) -> Vectors:
    """Return the vectors in *body*, the answer to a request for those of *count* texts.

    Raises:
        DevsynthError: It is an error; ``upstream_error`` if it is anything but a vector a text,
            each of as many numbers as the others.
    """
    try:
        envelope = _envelope(body, count)
        if envelope is None:
            raise failure_of(
                body.status, body.content_type, body.data, address=address, secrets=secrets
            )
        vectors = _in_order(envelope.data, count)
    except ValueError as exc:
        raise UpstreamError(
            f"{address} answered with vectors that cannot be used: {exc}",
            hint="Is it an embedding model? The server's own log may say more.",
            details={"status": body.status, "message": str(exc)},
        ) from exc
    return Vectors(
        model=usable_id(_aside(envelope.model)),
        vectors=vectors,
        usage=usage_of_vectors(_aside(envelope.usage)),
    )


def _envelope(body: Body, count: int) -> _Envelope | None:
    """Return what is around the vectors; ``None`` where there are none.

    Raises:
        ValueError: What should be vectors is something else.
    """
    # Each entry is built before it can be refused, and all of them are before they are counted.
    if body.data.count(b"{") > 8 * count + 64:
        raise ValueError(f"there is much more than one for each of {count} texts")
    try:
        envelope = _ENVELOPE.decode(body.data)
    except (ValueError, RecursionError) as exc:
        if body.status < 300 and "`$.data[" in str(exc):  # noqa: PLR2004 - HTTP
            raise ValueError(str(exc).replace("`$.data", "`$")) from exc
        return None
    is_error = (
        body.status >= 300  # noqa: PLR2004 - HTTP
        or len(envelope.error) > _MAX_ASIDE_BYTES
        or _aside(envelope.error)
        or _aside(envelope.object) == "error"
    )
    return None if is_error else envelope


def _aside(text: Raw) -> Any:  # noqa: ANN401 - JSON is anything
    """Return the value of *text*; ``None`` if it is too long for what is wanted."""
    return loads(bytes(text)) if len(text) <= _MAX_ASIDE_BYTES else None


def _in_order(entries: list[_Entry], count: int) -> tuple[Raw, ...]:
    """Return the vectors in *entries* in the order of their *count* texts, in MessagePack.

    Raises:
        ValueError: They are not one a text, or not all of one length.
    """
    if len(entries) != count:
        raise ValueError(f"{len(entries)} for {count} texts")
    vectors: list[Raw] = []
    indexes: list[int | None] = []
    length = 0
    # One at a time: the numbers are never all there as Python's own, and other threads, above all
    # the event loop's, get the interpreter's lock in between.
    for position, entry in enumerate(entries):
        vector = _vector(entry.embedding, position)
        length = length or len(vector)
        if not vector:
            raise ValueError(f"number {position} is empty")
        if len(vector) != length:
            raise ValueError(f"number {position} is not as long as the first")
        vectors.append(Raw(msgspec.msgpack.encode(vector)))
        indexes.append(entry.index)
    numbers = [index for index in indexes if index is not None]
    if not numbers:
        return tuple(vectors)
    if sorted(numbers) != list(range(count)):
        raise ValueError("their numbers are not those of the texts")
    by_number = dict(zip(numbers, vectors, strict=True))
    return tuple(by_number[number] for number in range(count))


def _vector(text: Raw, position: int) -> list[float]:
    """Return the numbers in *text*.

    Raises:
        ValueError: They are none, or too many; where one is not is told as in the whole list.
    """
    if len(text) > MAX_VECTOR_BYTES:
        raise ValueError(f"number {position} has more than {MAX_VECTOR_BYTES} bytes")
    try:
        return _VECTOR.decode(text)
    except ValueError as exc:
        says, where = str(exc), f"`$[{position}].embedding"
        says = says.replace("`$", where) if "`$" in says else f"{says} - at {where}`"
        raise ValueError(says) from exc
