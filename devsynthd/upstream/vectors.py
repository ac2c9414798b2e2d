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
    data: Raw
    model: Any = None
    usage: Any = None
    error: Any = None
    object: Any = None


class _Entry(Struct):
    embedding: list[float]  # msgspec takes no number that is not finite
    index: int | None = None


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_ENTRIES = msgspec.json.Decoder(list[_Entry])


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
    entries: list[_Entry] = []
    try:
        entries = _ENTRIES.decode(envelope.data)
        problem = _problem(entries, count)
    except ValueError as exc:
        problem = str(exc)
    if problem:
        raise UpstreamError(
            f"{address} answered with vectors that cannot be used: {problem}",
            hint="Is it an embedding model? The server's own log may say more.",
            details={"status": body.status, "message": problem},
        )
    entries.sort(key=lambda entry: entry.index or 0)
    return Vectors(
        model=envelope.model if isinstance(envelope.model, str) else None,
        vectors=tuple(tuple(entry.embedding) for entry in entries),
        usage=usage_of_vectors(envelope.usage),
    )


def _envelope(body: Body) -> _Envelope | None:
    """Return what is around the vectors; ``None`` where there are none."""
    try:
        envelope = _ENVELOPE.decode(body.data)
    except (ValueError, RecursionError):
        return None
    is_error = body.status >= 300 or envelope.error or envelope.object == "error"  # noqa: PLR2004 - HTTP
    return None if is_error or not bytes(envelope.data).startswith(b"[") else envelope


def _problem(entries: list[_Entry], count: int) -> str:
    """Return what is wrong with *entries*, nothing if they are the vectors of *count* texts."""
    if len(entries) != count:
        return f"{len(entries)} for {count} texts"
    indexes = [entry.index for entry in entries if entry.index is not None]
    if indexes and sorted(indexes) != list(range(count)):
        return "their numbers are not those of the texts"
    for number, entry in enumerate(entries):
        if not entry.embedding:
            return f"number {number} is empty"
        if len(entry.embedding) != len(entries[0].embedding):
            return f"number {number} is not as long as the first"
    return ""
