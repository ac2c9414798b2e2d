"""Bytes to requests and replies to bytes, in MessagePack and JSON. Pure."""

import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from devsynthd.wire.errors import BadRequest, DevsynthError, UnsupportedVersion
from devsynthd.wire.limits import MAX_BODY_BYTES, MAX_MESSAGES, PROTOCOL_VERSION
from devsynthd.wire.nearest import nearest
from devsynthd.wire.replies import AnyReply, ReceivedReply
from devsynthd.wire.requests import REQUEST_TYPES, AnyRequest, IdOnWire, Request, RequestId

# msgspec lets two faults of a body pass as plain Python errors: text that is not UTF-8, and
# nesting deeper than the interpreter's stack.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Encoding(Enum):
    """The two encodings of a body; a reply uses that of its request."""

    MSGPACK = "msgpack"
    JSON = "json"


_ABSENT = msgspec.Raw()
_MAX_SCALAR_BYTES = 1024


class _Header(msgspec.Struct):
    """What can be read of a request whose rest is wrong. Raw: there may be megabytes of maps."""

    id: msgspec.Raw = _ABSENT
    op: msgspec.Raw = _ABSENT
    v: msgspec.Raw = _ABSENT


_REQUESTS: dict[Encoding, Callable[[bytes], AnyRequest]] = {
    Encoding.MSGPACK: msgspec.msgpack.Decoder(AnyRequest).decode,
    Encoding.JSON: msgspec.json.Decoder(AnyRequest).decode,
}
_HEADERS: dict[Encoding, Callable[[bytes], _Header]] = {
    Encoding.MSGPACK: msgspec.msgpack.Decoder(_Header).decode,
    Encoding.JSON: msgspec.json.Decoder(_Header).decode,
}
_ENCODERS: dict[Encoding, Callable[[object], bytes]] = {
    Encoding.MSGPACK: msgspec.msgpack.Encoder().encode,
    Encoding.JSON: msgspec.json.Encoder().encode,
}
_SCALARS: dict[Encoding, Callable[[msgspec.Raw], Any]] = {
    Encoding.MSGPACK: msgspec.msgpack.Decoder().decode,
    Encoding.JSON: msgspec.json.Decoder().decode,
}
_REPLIES: Callable[[bytes], ReceivedReply] = msgspec.msgpack.Decoder(ReceivedReply).decode
_SEND_LESS = "send less context or smaller images"
_JSON_START = re.compile(rb"[ \t\r\n]*\{")
_UNKNOWN_FIELD = re.compile(r"unknown field `(.+)`")


class Undecodable(Exception):
    """A body that is no request: why, and the id if at least that could be read."""

    def __init__(self, reason: DevsynthError, request_id: RequestId | None) -> None:
        super().__init__(str(reason))
        self.reason, self.request_id = reason, request_id


def encoding_of(body: bytes) -> Encoding:
    """Return JSON if the first byte of *body* after white space is ``{``, else MessagePack."""
    return Encoding.JSON if _JSON_START.match(body) else Encoding.MSGPACK


def decode_request(body: bytes, encoding: Encoding) -> AnyRequest:
    """Return the request in *body*.

    Raises:
        Undecodable: It is no map, or an op, a field or a type is not in the protocol.
    """
    if len(body) > MAX_BODY_BYTES:
        size = f"the request has {len(body)} bytes, the limit is {MAX_BODY_BYTES}"
        raise Undecodable(BadRequest(size, hint=_SEND_LESS), None)
    # MessagePack tells the length of an array before its content, JSON does not: millions of tiny
    # messages would be built before they could be refused. Inside a JSON string the quotes are
    # escaped, so this counts keys, and at most as many values.
    if encoding is Encoding.JSON and body.count(b'"role"') > 2 * MAX_MESSAGES:
        many = f"the request has more than {MAX_MESSAGES} messages"
        raise Undecodable(BadRequest(many, hint=_SEND_LESS), None)
    try:
        request = _REQUESTS[encoding](body)
    except DECODE_ERRORS as exc:
        raise _explained(exc, body, encoding) from exc
    if request.v != PROTOCOL_VERSION:
        raise Undecodable(_unsupported(request.v), request_id(request))
    return request


def request_id(request: Request) -> RequestId:
    """Return the id of *request* as replies carry it: an integral float is its integer."""
    return int(request.id) if isinstance(request.id, float) else request.id


def encode(message: AnyReply | Request, encoding: Encoding = Encoding.MSGPACK) -> bytes:
    """Return *message* as a body."""
    return _ENCODERS[encoding](message)


def decode_reply(body: bytes) -> ReceivedReply:
    """Return the reply in *body*, a MessagePack map; unknown fields are skipped.

    Raises:
        msgspec.DecodeError: It is no reply.
    """
    return _REPLIES(body)


def _explained(exc: Exception, body: bytes, encoding: Encoding) -> Undecodable:
    """Return what is wrong with *body*, and the id if it can be read."""
    try:
        header = _HEADERS[encoding](body)
        op, version = _scalar(header.op, encoding), _scalar(header.v, encoding, PROTOCOL_VERSION)
        given_id = _scalar(header.id, encoding)
    except DECODE_ERRORS:
        return Undecodable(_malformed(exc, encoding), None)
    try:
        readable = msgspec.convert(given_id, IdOnWire)
        known_id = int(readable) if isinstance(readable, float) else readable
    except msgspec.ValidationError:
        known_id = None
    if version != PROTOCOL_VERSION:
        return Undecodable(_unsupported(version), known_id)
    return Undecodable(_misfit(exc, op), known_id)


def _scalar(raw: msgspec.Raw, encoding: Encoding, default: object = None) -> object:
    """Return the value of *raw*, *default* if it is absent, and a placeholder if it is huge."""
    if raw is _ABSENT:
        return default
    return _SCALARS[encoding](raw) if len(raw) <= _MAX_SCALAR_BYTES else ...


def _malformed(exc: Exception, encoding: Encoding) -> BadRequest:
    wanted = "a map in MessagePack, or in JSON with { as its first byte"
    if isinstance(exc, RecursionError):
        return BadRequest("the request is nested too deeply", hint=f"send {wanted}")
    if isinstance(exc, msgspec.ValidationError):
        return BadRequest(f"the request is not a map of fields: {exc}", hint=f"send {wanted}")
    name = "JSON" if encoding is Encoding.JSON else "MessagePack"
    return BadRequest(f"the request is not {name}: {exc}", hint=f"send {wanted}")


def _misfit(exc: Exception, op: object) -> BadRequest:
    """Return what is wrong with a request that is a map with a readable header."""
    if op is None:
        return BadRequest("the request has no `op`", hint=f"ops: {', '.join(REQUEST_TYPES)}")
    if not isinstance(op, str):
        return BadRequest("`op` is not a string", hint=f"ops: {', '.join(REQUEST_TYPES)}")
    cls = REQUEST_TYPES.get(op)
    if cls is None:
        close = nearest(op, REQUEST_TYPES)
        return BadRequest(
            f"unknown op `{op[:64]}`",
            hint=f"did you mean `{close}`?" if close else f"ops: {', '.join(REQUEST_TYPES)}",
        )
    if unknown := _UNKNOWN_FIELD.search(str(exc)):
        close = nearest(unknown[1], cls.__struct_fields__)
        fields = ", ".join(cls.__struct_fields__)
        return BadRequest(
            f"unknown field `{unknown[1][:64]}` in `{op}`",
            hint=f"did you mean `{close}`?" if close else f"fields: {fields}",
        )
    return BadRequest(f"`{op}`: {exc}")


def _unsupported(version: object) -> UnsupportedVersion:
    return UnsupportedVersion(
        f"protocol version {str(version)[:32]} is not spoken here",
        hint=f"send `v`: {PROTOCOL_VERSION}, or leave it out",
    )
