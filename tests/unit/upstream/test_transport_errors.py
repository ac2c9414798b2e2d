"""Faults that no local server can play; the others are in tests/upstream."""

import socket

import pytest
import requests
import urllib3
from urllib3.exceptions import MaxRetryError, NameResolutionError, ProtocolError, ProxyError

from devsynthd.upstream.embeddings import VECTORS_LIMIT
from devsynthd.upstream.failures import CHECK_BASE
from devsynthd.upstream.lists import BODY_LIMIT, LIST_LIMIT
from devsynthd.upstream.reading import ANSWER_LIMIT
from devsynthd.upstream.transport_errors import Patience, SizeLimit, too_large, upstream_errors
from devsynthd.wire.errors import DevsynthError, ErrorCode

ADDRESS = "http://models.example/v1"
POOL = urllib3.HTTPConnectionPool("models.example")
CONNECTION = urllib3.connection.HTTPConnection("models.example")


def _unknown_host() -> Exception:
    reason = NameResolutionError("models.example", CONNECTION, socket.gaierror(-2, "unknown"))
    reason.__cause__ = socket.gaierror(-2, "Name or service not known")
    error = requests.ConnectionError(MaxRetryError(POOL, "/v1/models", reason))
    error.__cause__ = reason
    return error


def _refusing_proxy() -> Exception:
    error = requests.exceptions.ProxyError(ProxyError("no", OSError()))
    error.__cause__ = ConnectionRefusedError(111, "Connection refused")
    return error


def _slow_to_send() -> Exception:
    error = requests.ConnectionError(ProtocolError("aborted", TimeoutError()))
    error.__cause__ = TimeoutError("The write operation timed out")
    return error


CASES = [
    (_unknown_host(), ErrorCode.UPSTREAM_UNAVAILABLE, "the host name is not known"),
    (_refusing_proxy(), ErrorCode.UPSTREAM_UNAVAILABLE, "through the proxy: connection refused"),
    (_slow_to_send(), ErrorCode.UPSTREAM_TIMEOUT, "tea did not come within 5 s"),
    (requests.ConnectTimeout(), ErrorCode.UPSTREAM_UNAVAILABLE, "did not accept"),
    (requests.ReadTimeout(), ErrorCode.UPSTREAM_TIMEOUT, "tea did not come within 5 s"),
    (OSError(24, "Too many open files"), ErrorCode.UPSTREAM_UNAVAILABLE, "too many open files"),
    (requests.RequestException("odd"), ErrorCode.UPSTREAM_UNAVAILABLE, "odd"),
]


@pytest.mark.parametrize(("exception", "code", "says"), CASES)
def test_an_exception_becomes_an_error_with_the_address(
    exception: Exception, code: ErrorCode, says: str
) -> None:
    patience = Patience("tea", 5, "Boil more.")
    with pytest.raises(DevsynthError) as caught, upstream_errors(ADDRESS, lambda: patience):
        raise exception

    assert caught.value.code is code
    assert ADDRESS in str(caught.value)
    assert says in str(caught.value)
    assert caught.value.hint


def test_other_exceptions_pass() -> None:
    with pytest.raises(KeyError), upstream_errors(ADDRESS, lambda: Patience("tea", 5, "x")):
        raise KeyError


TOO_LARGE = [
    (ANSWER_LIMIT, "sent more than 64 MiB in one answer", "Set max_tokens, or a smaller one."),
    (BODY_LIMIT, "sent more than 16 MiB in one answer", "The server's own log may say more."),
    (LIST_LIMIT, "sent more than 16 MiB as its list of models", CHECK_BASE),
    (VECTORS_LIMIT, "sent more than 64 MiB of vectors", "Send fewer texts at once."),
]


@pytest.mark.parametrize(("limit", "says", "hint"), TOO_LARGE)
def test_what_is_too_large_is_told_in_a_sentence(limit: SizeLimit, says: str, hint: str) -> None:
    error = too_large(ADDRESS, limit)

    assert (str(error), error.hint) == (f"{ADDRESS} {says}", hint)
