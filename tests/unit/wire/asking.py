"""Requests in both encodings, and what they are refused with."""

from typing import Any

import msgspec
import pytest

from devsynthd.wire.codec import Encoding, Undecodable, decode_request, encoding_of
from devsynthd.wire.requests import AnyRequest, Generate

ENCODERS = {Encoding.MSGPACK: msgspec.msgpack.encode, Encoding.JSON: msgspec.json.encode}
encodings = pytest.mark.parametrize("encoding", Encoding)


def refused(body: bytes) -> Undecodable:
    """Return why *body* is no request."""
    with pytest.raises(Undecodable) as caught:
        decode_request(body, encoding_of(body))
    return caught.value


def outcome(body: bytes, encoding: Encoding) -> AnyRequest | Undecodable:
    """Return the request in *body*, or why it is none; any other exception fails the test."""
    try:
        return decode_request(body, encoding)
    except Undecodable as error:
        return error


def generate(encoding: Encoding, **fields: Any) -> bytes:  # noqa: ANN401 - whatever is sent
    """Return the body of a ``generate`` with the id 3; ``Raw`` values are put in as they are."""
    return ENCODERS[encoding]({"op": "generate", "id": 3, "prompt": "x"} | fields)


def decoded(body: bytes) -> Generate:
    """Return the ``generate`` in *body*."""
    request = decode_request(body, encoding_of(body))
    assert isinstance(request, Generate)
    return request
