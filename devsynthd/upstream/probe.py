"""Looks at a server link by link, as the daemon reaches it: name, connection, HTTP, models.

For ``devsynthctl doctor``, in a process that has no daemon. Every look has an end.
"""

import asyncio
import errno
import http.client
import queue
import ssl
import threading
from collections.abc import Callable
from typing import Literal, TypeVar
from urllib.parse import urlsplit

import requests
from msgspec import Struct
from requests.utils import get_environ_proxies, select_proxy

from devsynthd.upstream.base import Listing
from devsynthd.upstream.connections import PROXY_URL, addresses, dial, is_loopback
from devsynthd.upstream.failures import CHECK_BASE
from devsynthd.upstream.http import Http, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.lmstudio import LMStudioUpstream
from devsynthd.upstream.openai import OpenAIUpstream
from devsynthd.upstream.recognition import GREETING_PATH
from devsynthd.upstream.transport_errors import Patience, chain, silent, upstream_errors
from devsynthd.upstream.weights import Embedded, Use, engine_use, find_embedded
from devsynthd.wire.errors import (
    ConfigInvalid,
    DevsynthError,
    UpstreamAuth,
    UpstreamError,
    UpstreamTimeout,
)
from devsynthd.wire.objects import Provider

__all__ = [
    "DialFault",
    "Dialled",
    "Listing",
    "Nature",
    "Probe",
    "Target",
    "find_engine",
    "nature",
    "try_address",
]

ANSWER_S = 5.0
"""How long an answer to a small question may take."""

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PROXY_PORT = 1080  # urllib3's own, where a proxy's URL has none

T = TypeVar("T")

DialFault = Literal["refused", "timeout", "unreachable"]

Nature = Literal[
    "auth",
    "silent",
    "late",
    "untrusted",
    "tls",
    "proxy",
    "closed",
    "not_http",
    "not_the_api",
    "other",
]
"""What kind of failure an exchange ended with; late: the connection was not made in time."""


class Target(Struct, frozen=True, kw_only=True):
    """A server as the settings have it.

    *base_url* is what requests are built on, as ``upstream_base`` returns it; *ca_bundle* an
    absolute path, or empty.
    """

    provider: Provider
    base_url: str
    api_key: str = ""
    connect_s: float
    ca_bundle: str = ""

    def __repr__(self) -> str:  # without the key
        return f"Target({self.provider} at {self.base_url})"


class Dialled(Struct, frozen=True):
    """One address that was tried, as ``HOST:PORT``; *fault* null: it took the connection."""

    address: str
    fault: DialFault | None = None
    reason: str = ""


class ProxyUnusable(ConfigInvalid):
    """The environment names a proxy by what is no URL."""


class Probe:
    """Looks at the server *target*. One thread at a time.

    Raises:
        ConfigInvalid: Its URL or key cannot be used.
        ProxyUnusable: The URL of the proxy before it cannot.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._http = Http(
            target.base_url,
            api_key=target.api_key,
            connect_s=target.connect_s,
            ca_bundle=target.ca_bundle,
            max_connections=1,
        )
        via = self.proxy
        try:
            parts = urlsplit(via or target.base_url)
            self.host = parts.hostname or ""
            self.port = parts.port or (_PROXY_PORT if via else _DEFAULT_PORTS[parts.scheme])
        except ValueError:
            self.host = ""
        if not self.host:
            # Not from within the block above: what is raised there quotes a part of the URL.
            raise ProxyUnusable(
                f"the URL of the proxy that is to lead to {self._http.address} {PROXY_URL}"
            )

    @property
    def address(self) -> str:
        """The server's, for messages."""
        return self._http.address

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine, by its address."""
        return is_loopback(urlsplit(self._target.base_url).hostname or "")

    @property
    def proxy(self) -> str | None:
        """The URL of the proxy that this process's environment has for it; it may hold a secret."""
        if self.is_local:
            return None
        base_url = self._target.base_url
        return select_proxy(base_url, get_environ_proxies(base_url, no_proxy=None))

    def resolve(self) -> tuple[str, ...]:
        """Return the addresses of the server's host, or of its proxy's, in the daemon's order.

        Raises:
            OSError: It has none; a ``TimeoutError`` if nobody could say in time.
        """

        def look_up() -> tuple[str, ...]:
            found = addresses(self.host, self.port)
            return tuple(dict.fromkeys(str(info[4][0]) for info in found))

        return within(max(self._target.connect_s, ANSWER_S), look_up)

    def dial(self, addresses: tuple[str, ...]) -> tuple[Dialled, ...]:
        """Try *addresses* until one takes a connection, within the connect timeout in all."""
        tried: list[Dialled] = []
        for address in addresses:
            tried.append(try_address(address, self.port, self._target.connect_s / len(addresses)))
            if tried[-1].fault is None:
                break
        return tuple(tried)

    def ask(self) -> int:
        """Return the status that the server answers a small question with; any will do.

        Raises:
            DevsynthError: No answer came; `nature` says how.
        """
        path = GREETING_PATH if self._target.provider == "lmstudio" else "/models"
        patience = Patience("an answer", ANSWER_S, "The server may be busy or stuck: try again.")
        line = Line()

        def exchange() -> int:
            try:
                with (
                    upstream_errors(self.address, lambda: patience),
                    self._http.get(path, line, timeout_s=ANSWER_S) as reply,
                ):
                    return reply.status
            finally:
                line.let_go()

        try:
            # In all: of a head that drips, each byte alone may take ANSWER_S.
            return within(self._target.connect_s + ANSWER_S, exchange)
        except TimeoutError as exc:
            line.hang_up()
            raise silent(self.address, patience) from exc

    def models(self) -> Listing:
        """Return the models, as the daemon lists them.

        Raises:
            DevsynthError: ``upstream_*``; `nature` says how.
        """
        return asyncio.run(self._models())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    async def _models(self) -> Listing:
        target = self._target
        kind = LMStudioUpstream if target.provider == "lmstudio" else OpenAIUpstream
        upstream = kind(
            target.base_url,
            api_key=target.api_key,
            timeouts=Timeouts(target.connect_s, ANSWER_S, ANSWER_S),
            ca_bundle=target.ca_bundle,
            max_threads=1,
        )
        try:
            return await upstream.models()
        finally:
            await upstream.close()


def try_address(host: str, port: int, timeout_s: float) -> Dialled:
    """Return whether something takes a connection at *host*, an address."""
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    line = Line()
    try:
        dial(host, port, timeout_s=timeout_s, options=None, line=line).close()
    except TimeoutError:
        return Dialled(shown, "timeout")
    except ConnectionRefusedError as exc:
        return Dialled(shown, "refused", exc.strerror or "")
    except OSError as exc:
        fault: DialFault = "timeout" if exc.errno == errno.ETIMEDOUT else "unreachable"
        return Dialled(shown, fault, exc.strerror or str(exc))
    finally:
        line.let_go()
    return Dialled(shown)


def nature(error: DevsynthError) -> Nature:
    """Return what kind of failure *error* is, which a `Probe` raised."""
    links = list(chain(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(link, kinds) for link in links)

    kinds: tuple[tuple[Nature, bool], ...] = (
        ("auth", isinstance(error, UpstreamAuth)),
        ("silent", isinstance(error, UpstreamTimeout)),
        ("late", has(requests.ConnectTimeout)),
        ("proxy", has(requests.exceptions.ProxyError, requests.exceptions.InvalidProxyURL)),
        ("untrusted", has(ssl.SSLCertVerificationError)),
        ("tls", has(ssl.SSLError)),
        ("closed", has(ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected)),
        ("not_http", has(http.client.HTTPException)),
        ("not_the_api", isinstance(error, UpstreamError) and error.hint == CHECK_BASE),
    )
    return next((kind for kind, fits in kinds if fits), "other")


def find_engine(provider: str, enabled: str, model_path: str) -> Embedded | None:
    """Return what there is of the embedded engine; null where the settings ask for none."""
    if engine_use(provider, enabled, model_path) is Use.NONE:
        return None
    try:
        return find_embedded(provider, enabled, model_path)
    except ConfigInvalid as exc:
        return Embedded(None, f"{exc}. {exc.hint}")


def within(seconds: float, function: Callable[[], T]) -> T:
    """Return what *function* returns, called on a thread that is left behind after *seconds*.

    Raises:
        OSError: *function* has raised it; a ``TimeoutError`` if it has not ended.
        DevsynthError: *function* has raised it.
    """
    answers: queue.SimpleQueue[T | OSError | DevsynthError] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put(function())
        except (OSError, DevsynthError) as exc:
            answers.put(exc)
        except UnicodeError as exc:  # no name that could be looked up
            answers.put(OSError(str(exc)))

    threading.Thread(target=run, name="probe", daemon=True).start()
    try:
        answer = answers.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"not within {seconds:g} s") from None
    if isinstance(answer, OSError | DevsynthError):
        raise answer
    return answer
