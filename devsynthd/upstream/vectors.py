"""What a server says of the vectors of some texts. Pure."""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from devsynthd.upstream.base import Vectors
from devsynthd.upstream.failures import failure_of
from devsynthd.upstream.lists import Body
from devsynthd.upstream.usage import usage_of_vectors
from devsynthd.wire.errors import UpstreamError


class _Envelope(Struct):
    data: list[Raw]
    model: Any = None
    usage: Any = None
    error: Any = None
    object: Any = None


class _Entry(Struct):
    embedding: list[float]  # msgspec takes no number that is not finite
    index: int | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_ENTRY = msgspec.json.Decoder(_Entry)


def vectors_of(body: Body, count: int, *, address: str, secrets: tuple[str, ...] = ()) -> Vectors:
    """Return the vectors in *body*, the answer to a request for those of *count* texts.

    Raises:
        DevsynthError: It is an error; ``upstream_error`` if it is anything but a vector a text,
            each of as many numbers as the others.
    """
    envelope = _envelope(body)
    if envelope is None:
        raise failure_of(
            body.status, body.content_type, body.data, address=address, secrets=secrets
        )
    try:
        vectors = _in_order(envelope.data, count)
    except ValueError as exc:
        raise UpstreamError(
            f"{address} answered with vectors that cannot be used: {exc}",
            hint="Is it an embedding model? The server's own log may say more.",
            details={"status": body.status, "message": str(exc)},
        ) from exc
    return Vectors(
        model=envelope.model if isinstance(envelope.model, str) else None,
        vectors=vectors,
        usage=usage_of_vectors(envelope.usage),
    )


def _envelope(body: Body) -> _Envelope | None:
    """Return what is around the vectors; ``None`` where there are none."""
    try:
        envelope = _ENVELOPE.decode(body.data)
    except (ValueError, RecursionError):
        return None
    is_error = body.status >= 300 or envelope.error or envelope.object == "error"  # noqa: PLR2004 - HTTP
    return None if is_error else envelope


def _in_order(entries: list[Raw], count: int) -> tuple[Raw, ...]:
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
    for position, text in enumerate(entries):
        entry = _entry(text, position)
        length = length or len(entry.embedding)
        if not entry.embedding:
            raise ValueError(f"number {position} is empty")
        if len(entry.embedding) != length:
            raise ValueError(f"number {position} is not as long as the first")
        vectors.append(Raw(msgspec.msgpack.encode(entry.embedding)))
        indexes.append(entry.index)
    numbers = [index for index in indexes if index is not None]
    if not numbers:
        return tuple(vectors)
    if sorted(numbers) != list(range(count)):
        raise ValueError("their numbers are not those of the texts")
    by_number = dict(zip(numbers, vectors, strict=True))
    return tuple(by_number[number] for number in range(count))


def _entry(text: Raw, position: int) -> _Entry:
    """Return the entry *text*.

    Raises:
        ValueError: It is none; where it is not is told as in the whole list.
    """
    try:
        return _ENTRY.decode(text)
    except ValueError as exc:
        says, where = str(exc), f"`$[{position}]"
        says = says.replace("`$", where) if "`$" in says else f"{says} - at {where}`"
        raise ValueError(says) from exc
