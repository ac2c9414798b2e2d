"""What a reply tells, as far as the pipe has to know. Pure."""

import msgspec
from msgspec import Struct

from devsynthctl.errors import BadReply, error_from, info_of
from devsynthctl.render.as_json import json_line
from devsynthd.wire.codec import DECODE_ERRORS
from devsynthd.wire.errors import DevsynthError, ErrorCode
from devsynthd.wire.objects import ErrorInfo
from devsynthd.wire.replies import Error
from devsynthd.wire.requests import RequestId

_ENDS = ("result", "error")
_PARTS = ("chunk", "event")


class _Fault(Struct):
    """The part of an error that decides whether its request is sent again."""

    code: str


class Told(Struct):
    """The fields of a reply that are looked at."""

    type: str
    id: RequestId
    error: _Fault | None = None

    @property
    def is_last(self) -> bool:
        """Whether it ends its request."""
        return self.type in _ENDS

    @property
    def is_part(self) -> bool:
        """Whether it is a part of an answer."""
        return self.type in _PARTS

    @property
    def is_refusal(self) -> bool:
        """Whether a daemon that shuts down has not taken the request."""
        return self.error is not None and self.error.code == ErrorCode.SHUTTING_DOWN


class _ToldNobody(Struct):
    """An error without an id."""

    error: ErrorInfo


_TOLD = msgspec.json.Decoder(Told).decode


def read_reply(body: bytes) -> Told:
    """Return what the reply in *body* tells.

    Raises:
        BadReply: It is not in the protocol, or does not say whose it is.
        Forbidden: The daemon talks to others only.
    """
    try:
        return _TOLD(body)
    except DECODE_ERRORS:
        pass  # it may be an error without an id
    try:
        info = msgspec.json.decode(body, type=_ToldNobody).error
    except DECODE_ERRORS as exc:
        raise BadReply(
            f"the reply is not in the protocol: {exc}",
            hint="does this socket belong to devsynthd, and to one of the same version?",
        ) from exc
    if info.code == ErrorCode.FORBIDDEN:
        raise error_from(info)
    raise BadReply(
        f"the daemon refused a request, and did not say which one: {info.message}",
        hint="is the daemon of the same version?",
    )


def error_line(request_id: RequestId | None, error: DevsynthError) -> bytes:
    """Return the reply that the request *request_id* has failed with *error*."""
    return json_line(Error(id=request_id, error=info_of(error))).rstrip().encode()
