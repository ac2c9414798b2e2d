"""What a line asks for, as far as the pipe has to know. Pure."""

from dataclasses import dataclass
from typing import Any

import msgspec
from msgspec import Raw, Struct

from devsynthctl.attempts import MEANT_FOR_ONE, REPEATABLE
from devsynthctl.pipe.lines import Line
from devsynthd.wire.codec import DECODE_ERRORS
from devsynthd.wire.errors import BadRequest
from devsynthd.wire.limits import MAX_BODY_BYTES
from devsynthd.wire.requests import ABSENT, IdOnWire, RequestId

_GENERATING = ("generate", "embed")

_EXAMPLE = 'a line is one request, like {"op": "ping", "id": 1}'
_ID_RULE = "a string of 1 to 128 characters, or a whole number within ±(2^53 - 1)"
_LESS = "send less context or smaller images"
_SENT_BYTES = len('"sent":1000000000000.000,')


class _Fields(Struct):
    """The fields that are looked at. Raw: what is wrong with them the daemon tells."""

    id: Raw = ABSENT
    op: Raw = ABSENT
    timeout: Raw = ABSENT
    sent: Raw = ABSENT
    client: Raw = ABSENT
    target: Raw = ABSENT


_FIELDS = msgspec.json.Decoder(_Fields).decode


@dataclass(frozen=True)
class Asked:
    """A request as its line has it.

    Attributes:
        id: As replies carry it.
        op: What is asked for; empty if that cannot be read.
        body: The line.
        missing: JSON text of the fields that it lacks and that the pipe fills in.
        timeout_s: Until its deadline; null: none.
        needs_sent: Whether it has a deadline, and does not tell when it was sent.
        target: Whom it cancels; null: nobody that the pipe knows.
    """

    id: RequestId
    op: str
    body: bytes
    missing: tuple[bytes, ...] = ()
    timeout_s: float | None = None
    needs_sent: bool = False
    target: RequestId | None = None

    @property
    def is_generating(self) -> bool:
        """Whether it is one of those that are queued in the daemon."""
        return self.op in _GENERATING

    @property
    def is_repeatable(self) -> bool:
        """Whether it may be sent again after a daemon has gone away with it."""
        return self.op in REPEATABLE

    @property
    def may_be_refused(self) -> bool:
        """Whether it may be sent to another daemon if the first one did not take it."""
        return self.op not in MEANT_FOR_ONE

    def body_at(self, now: float) -> bytes:
        """Return the body to be sent *now*, Unix time: the line and what it lacks."""
        sent = (b'"sent":%.3f,' % now,) if self.needs_sent else ()
        start = self.body.index(b"{") + 1
        return b"".join((self.body[:start], *self.missing, *sent, self.body[start:]))


def read_line(line: Line, client: str, timeout_s: float | None) -> Asked:
    """Return what *line* asks for; where it says nothing itself, of *client* and in *timeout_s*.

    Raises:
        BadRequest: The daemon could not answer it, since it could not read its id.
    """
    text = line.text
    if text is None:
        raise _bad(line, f"is longer than {MAX_BODY_BYTES} bytes", _LESS)
    fields = _fields(line, text)
    if fields.id is ABSENT:
        raise _bad(line, "has no `id`")
    given_id = _request_id(fields.id)
    if given_id is None:
        raise _bad(line, "has an `id` that cannot be one", f"an id is {_ID_RULE}")
    missing = []
    if fields.timeout is not ABSENT:
        timeout_s = _value(fields.timeout, float)
    elif timeout_s is not None:
        missing.append(b'"timeout":%b,' % msgspec.json.encode(timeout_s))
    needs_sent = timeout_s is not None and fields.sent is ABSENT
    room = MAX_BODY_BYTES - len(text) - sum(map(len, missing)) - _SENT_BYTES * needs_sent
    if room < 0:
        raise _bad(line, "is too long to be given a `timeout`", _LESS)
    name = b'"client":%b,' % msgspec.json.encode(client)
    if fields.client is ABSENT and len(name) <= room:  # it is only for people to look at
        missing.append(name)
    return Asked(
        given_id,
        _value(fields.op, str) or "",
        text,
        tuple(missing),
        timeout_s,
        needs_sent,
        _request_id(fields.target),
    )


def _fields(line: Line, text: bytes) -> _Fields:
    try:
        return _FIELDS(text)
    except msgspec.ValidationError as exc:
        raise _bad(line, "is not a JSON object") from exc
    except RecursionError as exc:
        raise _bad(line, "is nested too deeply") from exc
    except DECODE_ERRORS as exc:
        raise _bad(line, f"is not JSON: {exc}") from exc


def same_id(line: Line, request_id: RequestId) -> BadRequest:
    """Return the error for a *line* with the *request_id* of a request that is in flight."""
    return _bad(
        line,
        "has the id of a request that is in flight",
        "an id is free again after the result or the error of its request",
        id=request_id,
    )


def _bad(line: Line, what: str, hint: str = _EXAMPLE, **details: object) -> BadRequest:
    return BadRequest(
        f"line {line.number} {what}", hint=hint, details={"line": line.number, **details}
    )


def _request_id(raw: Raw) -> RequestId | None:
    """Return the id in *raw*, if it is one: a whole number written as a float is its integer."""
    found: RequestId | float | None = _value(raw, IdOnWire)
    return int(found) if isinstance(found, float) else found


def _value(raw: Raw, wanted: Any) -> Any:  # noqa: ANN401 - as msgspec has it
    """Return the *wanted* value that *raw* is, or null."""
    try:
        return msgspec.json.decode(raw, type=wanted)
    except DECODE_ERRORS:
        return None
