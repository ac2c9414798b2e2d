"""What an exception of requests or urllib3 means: theirs in, the protocol's errors out."""

import asyncio
import http.client
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import requests
import urllib3
from msgspec import Struct

from devsynthd.host.limits import SHORTAGE_HINT, shortage
from devsynthd.upstream.cleaning import clean
from devsynthd.upstream.failures import CHECK_BASE
from devsynthd.wire.errors import (
    DevsynthError,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnavailable,
)

CHECK_HOST = (
    "Check the host in llm_api_base: is it misspelt? If it is right, check the network and its DNS."
)
START_IT = (
    "Is LM Studio (or the server at llm_api_base) running and its server started?"
    " `lms server start` starts it."
)

MAY_HAVE_STOPPED = "The server may have stopped or crashed: its own log may say why."
MAY_HAVE_CRASHED = "The model may have crashed or been unloaded: the server's own log may say why."


class Patience(Struct, frozen=True):
    """What is waited for, for how long, and what to do when it does not come."""

    what: str
    seconds: float
    hint: str


class SizeLimit(Struct, frozen=True):
    """How much is read, what is said of more (after "sent more than 64 MiB"), and what to do.

    In JSON there may be no more than *max_values*: as objects each takes a hundred bytes or more,
    and only two or three as text.
    """

    max_bytes: int
    of_what: str
    hint: str | None = None
    max_values: int = 2**20


_NOT_HTTP = (
    http.client.HTTPException,
    urllib3.exceptions.DecodeError,
    urllib3.exceptions.InvalidHeader,
)


@asynccontextmanager
async def given_time(address: str, patience: Patience, limit_s: float) -> AsyncIterator[None]:
    """End the block after *limit_s*, when *patience*, and connecting before it, have no time left.

    Each silence in it has such a limit as well, but a server may drip: a byte now and then.

    Raises:
        UpstreamTimeout: They have.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except TimeoutError:
        raise silent(address, patience) from None


@contextmanager
def upstream_errors(address: str, patience: Callable[[], Patience]) -> Iterator[None]:
    """Turn exceptions of the HTTP client into errors that name *address*.

    *patience* is asked, after a silence, what had been waited for.

    Raises:
        UpstreamUnavailable: Nothing came back.
        UpstreamTimeout: It accepted and stayed silent.
        UpstreamError: What came back is not HTTP, or stopped before its end.
    """
    try:
        yield
    # The order matters: a ConnectTimeout is a ConnectionError and a Timeout, and all of the
    # exceptions of requests are OSErrors.
    except requests.ConnectTimeout as exc:
        raise UpstreamUnavailable(
            f"cannot reach {address}: it did not accept the connection in time",
            hint=f"{START_IT} How long to wait is set by llm_connect_timeout.",
        ) from exc
    except (requests.ReadTimeout, urllib3.exceptions.ReadTimeoutError) as exc:
        raise silent(address, patience()) from exc
    except (requests.exceptions.SSLError, urllib3.exceptions.SSLError, ssl.SSLError) as exc:
        raise UpstreamUnavailable(
            f"no secure connection to {address}: {_reason(exc)}",
            hint="Set llm_ca_bundle to the CA file of that server, or check http and https in"
            " llm_api_base.",
        ) from exc
    except (requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL) as exc:
        raise UpstreamUnavailable(
            f"cannot reach {address} through the proxy: {_reason(exc)}",
            hint="Check the proxy settings in the daemon's environment, or name the host in"
            " NO_PROXY.",
        ) from exc
    except (
        requests.RequestException,
        urllib3.exceptions.HTTPError,
        http.client.HTTPException,
        OSError,
    ) as exc:
        raise _broken(exc, address, patience) from exc


def was_reset(exc: BaseException) -> bool:
    """Whether the server closed the connection instead of answering."""
    return any(isinstance(link, ConnectionResetError | BrokenPipeError) for link in chain(exc))


def _broken(exc: Exception, address: str, patience: Callable[[], Patience]) -> DevsynthError:
    for link in chain(exc):
        if isinstance(link, TimeoutError):  # while the request was being sent
            return silent(address, patience())
        if isinstance(link, ConnectionResetError | BrokenPipeError):
            return UpstreamUnavailable(
                f"{address} closed the connection unexpectedly",
                hint=MAY_HAVE_STOPPED,
            )
        if isinstance(link, http.client.IncompleteRead):
            return cut_off(address)
        if isinstance(link, _NOT_HTTP):
            return UpstreamError(
                f"{address} answered with something that is not HTTP: {_reason(exc)}",
                hint=CHECK_BASE,
            )
    return UpstreamUnavailable(f"cannot reach {address}: {_reason(exc)}", hint=_remedy(exc))


def _remedy(exc: Exception) -> str:
    """Return what to do about a server that was not reached."""
    if any(shortage(link) for link in chain(exc)):
        return SHORTAGE_HINT
    is_unknown = any(isinstance(link, socket.gaierror) for link in chain(exc))
    return CHECK_HOST if is_unknown else START_IT


def cut_off(address: str) -> UpstreamError:
    """Return the error for an answer that ended before its end."""
    return UpstreamError(
        f"{address} cut off its answer before the end",
        hint=MAY_HAVE_CRASHED,
    )


def check_size(address: str, body: bytes, limit: SizeLimit) -> None:
    """Check that *body*, JSON or something else, does not exceed *limit*.

    Raises:
        UpstreamError: It does.
    """
    if len(body) > limit.max_bytes:
        raise too_large(address, limit)
    # Each value but the first is after one of these, which are in texts too: it is soon counted.
    if len(body) > limit.max_values < sum(map(body.count, (b",", b"[", b"{"))):
        raise UpstreamError(
            f"{address} sent more than {limit.max_values} values {limit.of_what}", hint=limit.hint
        )


def too_large(address: str, limit: SizeLimit) -> UpstreamError:
    """Return the error for an answer that is longer than anybody needs."""
    return UpstreamError(
        f"{address} sent more than {limit.max_bytes >> 20} MiB {limit.of_what}", hint=limit.hint
    )


def silent(address: str, patience: Patience) -> UpstreamTimeout:
    """Return the error for a server that accepted and then said nothing."""
    return UpstreamTimeout(
        f"{address} accepted the request, but {patience.what} did not come within"
        f" {patience.seconds:g} s",
        hint=patience.hint,
    )


def _reason(exc: BaseException) -> str:
    """Return the innermost reason in a few words."""
    for link in reversed(list(chain(exc))):
        match link:
            case requests.RequestException() | urllib3.exceptions.HTTPError():
                continue
            case socket.gaierror():
                return "the host name is not known"
            case ssl.SSLCertVerificationError():
                return clean(f"its certificate is not trusted, {link.verify_message}")
            case ssl.SSLError():
                return clean((link.reason or str(link)).replace("_", " ").lower())
            case OSError() if link.strerror:
                return clean(link.strerror[:1].lower() + link.strerror[1:])
            case _:
                return clean(str(link)) or type(link).__name__
    return clean(str(exc))


def chain(exc: BaseException | None) -> Iterator[BaseException]:
    """Yield *exc* and what led to it, the outermost first."""
    while exc is not None:
        yield exc
        exc = exc.__cause__ or exc.__context__
