"""The codec: every body is a request, or refused in the words of the protocol, to the right id."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from devsynthd.wire.codec import (
    DECODE_ERRORS,
    Encoding,
    Undecodable,
    decode_request,
    encode,
    encoding_of,
    request_id,
)
from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.limits import MAX_SAFE_INTEGER
from devsynthd.wire.requests import ABSENT, ConfigSet, Generate, Request, RequestId
from tests.fuzz.requests import BODIES
from tests.fuzz.target import Check, Target

MAX_SAID_CHARACTERS = 1000
_REASONS = {ErrorCode.BAD_REQUEST, ErrorCode.UNSUPPORTED_VERSION}
_UNREAD: Any = object()


def check(body: bytes) -> None:
    """Fail if *body* is not dealt with as the protocol says."""
    encoding = encoding_of(body)
    try:
        request = decode_request(body, encoding)
    except Undecodable as exc:
        refusal = exc
    else:
        assert is_same(request_id(request), id_in(body, encoding))
        is_nan = isinstance(request, ConfigSet) and request.value != request.value
        if not is_nan:  # which is never the same as itself
            assert_means_the_same(request)
        return
    assert refusal.reason.code in _REASONS
    said = str(refusal.reason)
    assert 0 < len(said) <= MAX_SAID_CHARACTERS, len(said)
    said.encode()
    wanted = id_in(body, encoding)
    assert wanted is _UNREAD or is_same(refusal.request_id, wanted), (refusal.request_id, wanted)


def is_same(one: object, other: object) -> bool:
    """Return whether two ids are the same on the wire, where 2 is not 2.0."""
    return type(one) is type(other) and one == other


def id_in(body: bytes, encoding: Encoding) -> RequestId | None:
    """Return the id that a reader without any knowledge of the protocol finds in *body*.

    What such a reader cannot take in, others may: then it is unread. So is a map with other keys
    than texts, which is none of fields.
    """
    decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode
    try:
        fields = decode(body, strict=True)
    except (*DECODE_ERRORS, TypeError):
        return _UNREAD  # type: ignore[no-any-return]
    if not isinstance(fields, dict):
        return None
    if not all(isinstance(name, str) for name in fields):
        return _UNREAD  # type: ignore[no-any-return]
    found = fields.get("id")
    if isinstance(found, float) and found.is_integer():
        found = int(found)
    if isinstance(found, int) and not isinstance(found, bool):
        return found if abs(found) <= MAX_SAFE_INTEGER else None
    return found if isinstance(found, str) and 1 <= len(found) <= 128 else None


def assert_means_the_same(request: Request) -> None:
    """Fail if *request* is another one after it was written and read in either encoding."""
    for encoding in Encoding:
        try:
            sent = _with_free_forms(request) if encoding is Encoding.MSGPACK else request
        except OverflowError:  # only JSON can say a number of that size
            continue
        again = decode_request(encode(sent, encoding), encoding)
        assert again == request, (again, request)


def _with_free_forms(request: Request) -> Request:
    """Return *request*, whose free-form fields are JSON text, with these in MessagePack."""
    if not isinstance(request, Generate):
        return request
    raws = {
        name: msgspec.Raw(msgspec.msgpack.encode(msgspec.json.decode(raw)))
        for name in ("logit_bias", "schema", "tools", "extra")
        if (raw := getattr(request, name)) is not ABSENT
    }
    return msgspec.structs.replace(request, **raws)


@contextmanager
def _opened(_: Path) -> Iterator[Check]:
    yield check


CODEC = Target("codec", BODIES, _opened, share=450)
