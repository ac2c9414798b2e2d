"""The failures that a client meets: those that the daemon tells, and those that it cannot tell."""

from typing import ClassVar

from devsynthd.wire.errors import DevsynthError, ErrorCode, error_classes
from devsynthd.wire.objects import ErrorInfo


class ClientError(DevsynthError):
    """Base of what no daemon told: the client found it out itself."""

    code: ClassVar[str] = "client_error"  # the client's own names, beside those of ErrorCode


class DaemonUnreachable(ClientError):
    """Nobody answers at the socket's address."""

    code = "daemon_unreachable"
    retryable = True


class ConnectionLost(ClientError):
    """The daemon went away before its answer; ``details["text"]`` has what came of one."""

    code = "connection_lost"
    retryable = True


class NoAnswer(ClientError):
    """The daemon is there but stayed silent for too long."""

    code = "no_answer"
    retryable = True


class BadReply(ClientError):
    """What came is not in the protocol: the peer is no devsynthd, or another version of it."""

    code = "bad_reply"


class UnknownError(ClientError):
    """Base of errors that the daemon told with a code that this client does not know."""


def error_from(info: ErrorInfo) -> DevsynthError:
    """Return the exception that stands for *info*, of the class of its code."""
    cls = _TOLD.get(info.code) or _unknown(info)
    return cls(info.message, hint=info.hint, details=info.details)


def info_of(error: DevsynthError) -> ErrorInfo:
    """Return *error* as the protocol tells errors."""
    return ErrorInfo(
        code=str(error.code),
        message=str(error),
        hint=error.hint,
        retryable=error.retryable,
        details=error.details,
    )


def _unknown(info: ErrorInfo) -> type[DevsynthError]:
    """Return a class made for *info*: code and retryable belong to classes."""
    return type("UnknownError", (UnknownError,), {"code": info.code, "retryable": info.retryable})


_TOLD: dict[str, type[DevsynthError]] = {
    code: cls for code, cls in error_classes().items() if isinstance(code, ErrorCode)
}
