"""Bytes to requests and replies to bytes, in MessagePack and JSON. Pure."""

import itertools
import re
from collections.abc import Callable
from enum import Enum
from typing import Any

import msgspec

from devsynthd.wire.errors import BadRequest, DevsynthError, Internal, UnsupportedVersion
from devsynthd.wire.freeform import SHAPES, check_size, json_text
from devsynthd.wire.limits import (
    MAX_BODY_BYTES,
    MAX_INPUTS,
    MAX_MESSAGES,
    MAX_STOPS,
    PROTOCOL_VERSION,
)
from devsynthd.wire.misfit import Read, misfit, scalar
from devsynthd.wire.replies import AnyReply, ReceivedReply
from devsynthd.wire.requests import (
    ABSENT,
    AnyRequest,
    Generate,
    IdOnWire,
    Request,
    RequestId,
)

# msgspec lets two faults of a body pass as plain Python errors: nesting deeper than the
# interpreter's stack and, before its version 0.23, text that is not UTF-8.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Encoding(Enum):
    """The two encodings of a body; a reply uses that of its request."""

    MSGPACK = "msgpack"
    JSON = "json"

    __hash__ = object.__hash__  # Enum's own is written in Python: each look-up takes 0.1 us


class _Header(msgspec.Struct):
    """What can be read of a request whose rest is wrong. Raw: there may be megabytes of maps."""

    id: msgspec.Raw = ABSENT
    op: msgspec.Raw = ABSENT
    v: msgspec.Raw = ABSENT


class _Lists(msgspec.Struct):
    """The lists of texts that a request may have."""

    input: msgspec.Raw = ABSENT
    stop: msgspec.Raw = ABSENT


_JSON = Encoding.JSON  # to look it up takes 0.1 us before Python 3.12

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
_VALUES: dict[Encoding, Callable[[msgspec.Raw], Any]] = {
    Encoding.MSGPACK: msgspec.msgpack.Decoder().decode,
    Encoding.JSON: msgspec.json.Decoder().decode,
}
_REPLIES: Callable[[bytes], ReceivedReply] = msgspec.msgpack.Decoder(ReceivedReply).decode
_SEND_LESS = "send less context or smaller images"
_JSON_START = re.compile(rb"[ \t\r\n]*\{")
_MAX_UNCOUNTED_BYTES = 256 * 1024
_BETWEEN_TEXTS = re.compile(rb'"[ \t\r\n]*,[ \t\r\n]*"')
_HALF_A_CHARACTER = re.compile(
    rb"\\u[dD](?:[89abAB]..(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F]..)", re.DOTALL
)
_SAID_OF_BAD_UTF8 = "Invalid UTF-8"
_SAID_OF_HALVES = re.compile(r"truncated|surrogate|hex escape")


class Undecodable(Exception):
    """A body that is no request: why, and the id if at least that could be read."""

    def __init__(self, reason: DevsynthError, request_id: RequestId | None) -> None:
        super().__init__(str(reason))
        self.reason, self.request_id = reason, request_id


def encoding_of(body: bytes) -> Encoding:
    """Return JSON if the first byte of *body* after white space is ``{``, else MessagePack."""
    is_map_in_msgpack = body[:1] >= b"\x80"  # to know that takes less than to look for JSON
    return Encoding.MSGPACK if is_map_in_msgpack or not _JSON_START.match(body) else Encoding.JSON


def too_large(size_bytes: int) -> BadRequest:
    """Return what is wrong with a request of *size_bytes*."""
    size = f"the request has {size_bytes} bytes, the limit is {MAX_BODY_BYTES}"
    return BadRequest(size, hint=_SEND_LESS)


def decode_request(body: bytes, encoding: Encoding) -> AnyRequest:
    """Return the request in *body*.

    Raises:
        Undecodable: It is no map, or an op, a field or a type is not in the protocol.
    """
    if len(body) > MAX_BODY_BYTES:
        raise Undecodable(too_large(len(body)), None)
    if encoding is _JSON and len(body) > _MAX_UNCOUNTED_BYTES and (excess := _excess(body)):
        reason = BadRequest(f"the request has more than {excess}", hint=_SEND_LESS)
        raise Undecodable(reason, _readable_id(body, encoding))
    try:
        request = _REQUESTS[encoding](body)
    except DECODE_ERRORS as exc:
        raise _explained(exc, body, encoding) from exc
    except MemoryError as exc:
        raise _unaffordable(body, encoding) from exc
    if request.v != PROTOCOL_VERSION:
        raise Undecodable(_unsupported(request.v), request_id(request))
    # Not isinstance: for a struct it costs as much as a fifth of the decoding.
    if type(request) is Generate and not (
        request.logit_bias is request.schema is request.tools is request.extra is ABSENT
    ):
        return _with_json(request, body, encoding)
    return request


def _excess(body: bytes) -> str | None:
    """Return what the JSON *body* has too much of, if anything.

    MessagePack tells the length of an array before its content, JSON does not: millions of tiny
    messages or texts would be built before they could be refused. Inside a JSON string the quotes
    are escaped, so what is counted is no text: names, and at most as many values; what is between
    two texts, and at most as many ends of texts.
    """
    if body.count(b'"role"') > 2 * MAX_MESSAGES:
        return f"{MAX_MESSAGES} messages"
    if b'"input"' in body or b'"stop"' in body:
        try:
            lists = msgspec.json.decode(body, type=_Lists)
        except DECODE_ERRORS:
            return None  # that is told when the whole of it is decoded
        for name, limit in (("input", MAX_INPUTS), ("stop", MAX_STOPS)):
            gaps = _BETWEEN_TEXTS.finditer(getattr(lists, name))
            if next(itertools.islice(gaps, 2 * limit, None), None):
                return f"{limit} texts in `{name}`"
    return None


def _with_json(request: Generate, body: bytes, encoding: Encoding) -> Generate:
    """Return *request*, which is in *body*, with its free-form fields as JSON text."""
    given = {name: raw for name in SHAPES if (raw := getattr(request, name)) is not ABSENT}
    texts = {}
    for name, raw in given.items():
        try:
            check_size(name, raw)
            texts[name] = json_text(name, _VALUES[encoding](raw))
        except BadRequest as exc:
            raise Undecodable(exc, request_id(request)) from exc
        except DECODE_ERRORS as exc:
            # A place in what msgspec says is `$[...]`.
            said = _not_utf8(exc, body, encoding) or str(exc).partition(" - at ")[0].strip()
            reason = BadRequest(f"`{name}` cannot be read: {said}")
            raise Undecodable(reason, request_id(request)) from exc
    return msgspec.structs.replace(request, **texts)


def request_id(request: Request) -> RequestId:
    """Return the id of *request* as replies carry it: an integral float is its integer."""
    return int(request.id) if isinstance(request.id, float) else request.id


def encode(message: AnyReply | Request, encoding: Encoding = Encoding.MSGPACK) -> bytes:
    """Return *message* as a body."""
    return _ENCODERS[encoding](message)


def packed(value: object, encoding: Encoding) -> msgspec.Raw:
    """Return *value* as it stands inside a reply in *encoding*."""
    return msgspec.Raw(_ENCODERS[encoding](value))


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
    except DECODE_ERRORS as fault:  # which quotes nothing of the body, as *exc* may
        return Undecodable(_malformed(fault, body, encoding), None)
    read = _reader(encoding)
    known_id = _known_id(scalar(header.id, read))
    version = PROTOCOL_VERSION if header.v is ABSENT else scalar(header.v, read)
    if version != PROTOCOL_VERSION:
        return Undecodable(_unsupported(version), known_id)
    op = None if header.op is ABSENT else scalar(header.op, read)
    if isinstance(op, str) and (said := _not_utf8(exc, body, encoding)):
        return Undecodable(BadRequest(f"`{op[:32]}`: {said}"), known_id)
    return Undecodable(misfit(exc, op, body, read), known_id)


def _unaffordable(body: bytes, encoding: Encoding) -> Undecodable:
    """Return that there is no memory for *body*, and the id if there is enough for that."""
    said = Internal(
        f"no memory is left for a request of {len(body)} bytes",
        hint="send less, or give the daemon more memory",
    )
    return Undecodable(said, _readable_id(body, encoding))


def _readable_id(body: bytes, encoding: Encoding) -> RequestId | None:
    """Return the id of the request in *body*, if it can be read, whatever the rest."""
    try:
        header = _HEADERS[encoding](body)
        return _known_id(scalar(header.id, _reader(encoding)))
    except (*DECODE_ERRORS, MemoryError):
        return None


def _known_id(given_id: object) -> RequestId | None:
    """Return the id to answer to, if *given_id* is one."""
    try:
        readable = msgspec.convert(given_id, IdOnWire)
    except msgspec.ValidationError:
        return None
    return int(readable) if isinstance(readable, float) else readable


def _reader(encoding: Encoding) -> Read:
    decode: Callable[..., Any]
    decode = msgspec.json.decode if encoding is Encoding.JSON else msgspec.msgpack.decode

    def read(body: bytes | msgspec.Raw, wanted: Any) -> Any:  # noqa: ANN401 - as msgspec has it
        try:
            return decode(body, type=wanted)
        except DECODE_ERRORS:
            return ...

    return read


def _malformed(exc: Exception, body: bytes, encoding: Encoding) -> BadRequest:
    wanted = "a map in MessagePack, or in JSON with { as its first byte"
    if isinstance(exc, RecursionError):
        return BadRequest("the request is nested too deeply", hint=f"send {wanted}")
    if isinstance(exc, msgspec.ValidationError):
        return BadRequest(f"the request is not a map of fields: {exc}", hint=f"send {wanted}")
    # What msgspec says of that, like "Input data was truncated", leads astray.
    half = _HALF_A_CHARACTER.search(body) if _SAID_OF_HALVES.search(str(exc)) else None
    if half and encoding is Encoding.JSON:
        return BadRequest(
            f"the request has half of a character, {half[0][:6].decode(errors='replace')}, at byte"
            f" {half.start()}",
            hint="a text was cut in the middle of a surrogate pair",
        )
    name = "JSON" if encoding is Encoding.JSON else "MessagePack"
    said = _not_utf8(exc, body, encoding) or exc
    return BadRequest(f"the request is not {name}: {said}", hint=f"send {wanted}")


def _not_utf8(exc: Exception, body: bytes, encoding: Encoding) -> str | None:
    """Return where in *body* the text is that *exc* complains about, if it is bad UTF-8.

    In MessagePack, msgspec tells the place before its version 0.23 only.
    """
    if not isinstance(exc, UnicodeDecodeError) and _SAID_OF_BAD_UTF8 not in str(exc):
        return None
    at = None
    if encoding is Encoding.JSON:  # all of it is text; in that of *exc* escapes may be resolved
        try:
            body.decode()
        except UnicodeDecodeError as whole:
            at = whole.start
    elif isinstance(exc, UnicodeDecodeError):
        at = body.find(exc.object) + exc.start
    where = "" if at is None else f": 0x{body[at]:02x} at byte {at} of the request"
    return f"text that is not UTF-8{where}"


def _unsupported(version: object) -> UnsupportedVersion:
    if isinstance(version, float) and version.is_integer():
        version = int(version)
    shown = "..." if version is ... else str(version)[:32]
    return UnsupportedVersion(
        f"protocol version {shown} is not spoken here",
        hint=f"send `v`: {PROTOCOL_VERSION}, or leave it out",
    )
