"""Faults that no local server can play; the others are in tests/upstream."""

import errno
import socket

import pytest
import requests
import urllib3
from urllib3.exceptions import MaxRetryError, NameResolutionError, ProtocolError, ProxyError

from devsynthd.upstream.embeddings import VECTORS_LIMIT
from devsynthd.upstream.failures import CHECK_BASE
from devsynthd.upstream.lists import BODY_LIMIT, LIST_LIMIT
from devsynthd.upstream.reading import ANSWER_LIMIT
from devsynthd.upstream.transport_errors import (
    Patience,
    SizeLimit,
    check_size,
    too_large,
    upstream_errors,
)
from devsynthd.wire.errors import DevsynthError, ErrorCode, UpstreamError, UpstreamUnavailable

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


def test_a_host_that_is_not_known_is_not_taken_for_a_server_that_is_down() -> None:
    with (
        pytest.raises(UpstreamUnavailable) as caught,
        upstream_errors(ADDRESS, lambda: Patience("tea", 5, "Boil more.")),
    ):
        raise _unknown_host()

    assert str(caught.value.hint).startswith("Check the host in llm_api_base")
    assert "lms" not in str(caught.value.hint)


def test_a_machine_without_descriptors_is_not_taken_for_a_server_that_is_down() -> None:
    full = ProtocolError("connection aborted", OSError(errno.EMFILE, "Too many open files"))
    full.__cause__ = full.args[1]
    patience = Patience("tea", 5, "Boil more.")
    with pytest.raises(UpstreamUnavailable) as caught, upstream_errors(ADDRESS, lambda: patience):
        raise requests.ConnectionError(full) from full

    assert str(caught.value) == f"cannot reach {ADDRESS}: too many open files"
    assert "LimitNOFILE=" in str(caught.value.hint)


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


FEW = SizeLimit(100, "in a test", "Send less.", max_values=10)


@pytest.mark.parametrize("body", [b" " * 100, b"[1,2,3,4,5,6,7,8,9,10]", b'{"a":"' + b"x" * 90])
def test_what_is_small_enough_passes(body: bytes) -> None:
    check_size(ADDRESS, body, FEW)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b" " * 101, "sent more than 0 MiB in a test"),
        (b"[[],[],[],[],[],[]]", "sent more than 10 values in a test"),
        (b"[{},{},{},{},{},{}]", "sent more than 10 values in a test"),
        (b"[1,2,3,4,5,6,7,8,9,10,11]", "sent more than 10 values in a test"),
    ],
)
def test_what_is_too_much_is_told_as_that(body: bytes, says: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        check_size(ADDRESS, body, FEW)

    assert (str(caught.value), caught.value.hint) == (f"{ADDRESS} {says}", "Send less.")
