"""The errors that a client can be told of: one class a code, with its meaning and its fault."""

from enum import StrEnum
from typing import Any, ClassVar


class ErrorCode(StrEnum):
    """The names of the errors on the wire. Some may be added; none is renamed or reused."""

    BAD_REQUEST = "bad_request"
    UNSUPPORTED_VERSION = "unsupported_version"
    MODEL_NOT_FOUND = "model_not_found"
    NO_MODEL = "no_model"
    MODEL_LOAD_FAILED = "model_load_failed"
    UPSTREAM_UNAVAILABLE = "upstream_unavailable"
    UPSTREAM_TIMEOUT = "upstream_timeout"
    UPSTREAM_AUTH = "upstream_auth"
    UPSTREAM_ERROR = "upstream_error"
    CONTEXT_OVERFLOW = "context_overflow"
    INCOMPLETE = "incomplete"
    QUEUE_FULL = "queue_full"
    SHUTTING_DOWN = "shutting_down"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    CANCELLED = "cancelled"
    CONFIG_INVALID = "config_invalid"
    FORBIDDEN = "forbidden"
    NOT_SUPPORTED = "not_supported"
    INTERNAL = "internal"


class DevsynthError(Exception):
    """Base of every failure that a client is told of.

    The message says what happened to what, *hint* what to do next, *details* what a program may
    want to know (JSON-like values only).
    """

    code: ClassVar[str]
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, hint: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.hint = hint
        self.details = details or {}


# The client's fault ------------------------------------------------------------------------


class BadRequest(DevsynthError):
    """The request is not in the protocol: not a map, a wrong type, an unknown field or op."""

    code = ErrorCode.BAD_REQUEST


class UnsupportedVersion(DevsynthError):
    """The request asks for a version of the protocol that this daemon does not speak."""

    code = ErrorCode.UNSUPPORTED_VERSION


class Forbidden(DevsynthError):
    """The peer is another user's process."""

    code = ErrorCode.FORBIDDEN


class ConfigInvalid(DevsynthError):
    """A setting's name or value is not allowed."""

    code = ErrorCode.CONFIG_INVALID


class NotSupported(DevsynthError):
    """This upstream cannot do that."""

    code = ErrorCode.NOT_SUPPORTED


# The models --------------------------------------------------------------------------------


class ModelNotFound(DevsynthError):
    """A named model is not in the upstream's list."""

    code = ErrorCode.MODEL_NOT_FOUND


class NoModel(DevsynthError):
    """No model was named and none can be chosen."""

    code = ErrorCode.NO_MODEL


class ModelLoadFailed(DevsynthError):
    """The upstream could not load the model."""

    code = ErrorCode.MODEL_LOAD_FAILED


# The upstream's fault ----------------------------------------------------------------------


class UpstreamError(DevsynthError):
    """The upstream answered, but with an error or with something that is not the API."""

    code = ErrorCode.UPSTREAM_ERROR


class UpstreamUnavailable(DevsynthError):
    """Nothing came back: refused, unreachable, no such host, no TLS."""

    code = ErrorCode.UPSTREAM_UNAVAILABLE
    retryable = True


class UpstreamTimeout(DevsynthError):
    """The upstream accepted the connection, then stayed silent for too long."""

    code = ErrorCode.UPSTREAM_TIMEOUT
    retryable = True


class UpstreamAuth(DevsynthError):
    """The upstream wants another API key (401 or 403)."""

    code = ErrorCode.UPSTREAM_AUTH


class ContextOverflow(DevsynthError):
    """The prompt does not fit the loaded context."""

    code = ErrorCode.CONTEXT_OVERFLOW


class Incomplete(DevsynthError):
    """The upstream failed after the first byte of its answer."""

    code = ErrorCode.INCOMPLETE
    retryable = True


# The daemon's own reasons ------------------------------------------------------------------


class QueueFull(DevsynthError):
    """Too many generations wait already."""

    code = ErrorCode.QUEUE_FULL
    retryable = True


class ShuttingDown(DevsynthError):
    """The daemon is draining and takes nothing new."""

    code = ErrorCode.SHUTTING_DOWN
    retryable = True


class DeadlineExceeded(DevsynthError):
    """The request's own time limit has passed."""

    code = ErrorCode.DEADLINE_EXCEEDED


class Cancelled(DevsynthError):
    """The request was cancelled before its end."""

    code = ErrorCode.CANCELLED


class Internal(DevsynthError):
    """A bug in the daemon: its log has the traceback."""

    code = ErrorCode.INTERNAL


def error_classes() -> dict[ErrorCode, type[DevsynthError]]:
    """Return the class of each code that a daemon may send."""
    return {
        ErrorCode(cls.code): cls
        for cls in DevsynthError.__subclasses__()
        if isinstance(cls.code, ErrorCode)
    }
