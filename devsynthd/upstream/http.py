"""HTTP with one server: prepared requests out, replies read as they come."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import requests
from msgspec import Struct
from requests.auth import AuthBase
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from devsynthd import __version__
from devsynthd.host.redaction import passwords_in
from devsynthd.upstream.connections import Adapter, Connection, Pool, Switchboard, is_loopback
from devsynthd.upstream.kept import MAX_REQUEST_BYTES, Kept
from devsynthd.upstream.line import Line
from devsynthd.upstream.reply import Reply
from devsynthd.upstream.transport_errors import was_reset
from devsynthd.wire.errors import ConfigInvalid

# A kept connection that the server has closed is reset at once. After that, the server may have
# read the request.
RESET_AT_ONCE_S = 0.2
MAX_REDIRECTS = 3
MAX_TEMPLATES = 32  # each download has a URL of its own


class Timeouts(Struct, frozen=True):
    """How long to wait, in seconds: to connect, for the first token, between bytes after it.

    *list_s* is for a whole list of models.
    """

    connect_s: float
    first_token_s: float
    idle_s: float
    list_s: float = 5.0


class BearerAuth(AuthBase):
    """Puts an API key into a request. Its presence also keeps ``.netrc`` out."""

    def __init__(self, api_key: str) -> None:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ConfigInvalid("llm_api_key has a character that no HTTP header can carry")
        self._api_key = api_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the header."""
        request.headers["Authorization"] = f"Bearer {self._api_key}"
        return request


class Http:
    """The connections to the server at *base_url*, kept open and used again.

    *address* is what it is called in errors, by default its URL. *passwords* are those of proxies.

    Proxies of the environment apply, but never to this machine. Redirects are followed for GET
    and within the same origin only: the API key goes nowhere else.

    Raises:
        ConfigInvalid: *base_url* or *api_key* cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        connect_s: float,
        ca_bundle: str,
        max_connections: int,
        address: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        parts = urlsplit(base_url)
        host = parts.hostname or ""
        netloc = parts.netloc.rpartition("@")[2]
        self.address = address or urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
        self._base = urlunsplit((parts.scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        self._root = self._base.removesuffix("/v1")
        self._connect_s = connect_s
        self._auth = BearerAuth(api_key) if api_key else None
        self._switchboard = Switchboard()
        self._session = requests.Session()
        self._session.trust_env = not is_loopback(host)
        self._adapter = Adapter(self._switchboard, max_connections=max_connections, clock=clock)
        self._session.mount("http://", self._adapter)
        self._session.mount("https://", self._adapter)
        self._settings: dict[str, Any] = dict(
            self._session.merge_environment_settings(
                self._base, {}, stream=True, verify=ca_bundle or None, cert=None
            )
        )
        self.passwords = passwords_in(filter(None, self._settings["proxies"].values()))
        self._template = lru_cache(maxsize=MAX_TEMPLATES)(self._prepare)
        self._head = lru_cache(maxsize=MAX_TEMPLATES)(self._write_head)
        self._pool: Pool | None = None  # once it is needed
        self._prepare("GET", self._base)  # tells at once if the URL is not usable

    @contextmanager
    def get(
        self, path: str, line: Line, *, timeout_s: float, at_root: bool = False
    ) -> Iterator[Reply]:
        """Ask for *path* under the base; asked again once if the connection was reset.

        With *at_root* it is asked for beside a ``/v1`` that the base ends in.

        Raises:
            requests.RequestException: No head of an answer came within *timeout_s*.
        """
        request = self._template("GET", (self._root if at_root else self._base) + path).copy()
        response = self._send(request, line, timeout_s)
        for _ in range(MAX_REDIRECTS):
            target = self._target_of(response)
            if target is None:
                break
            response.close()
            response = self._send(target, line, timeout_s)
        with closing(Reply(response.raw, line)) as reply:
            yield reply

    @contextmanager
    def post(self, path: str, body: bytes, line: Line, *, timeout_s: float) -> Iterator[Reply]:
        """Send the JSON text *body* to *path* under the base.

        Raises:
            requests.RequestException: No head of an answer came within *timeout_s*.
        """
        with closing(self.ask(path, body, line, timeout_s=timeout_s)) as reply:
            yield reply

    def ask(
        self, path: str, body: bytes, line: Line, *, timeout_s: float, at_root: bool = False
    ) -> Reply:
        """Do what ``post`` does, or with *at_root* as ``get``, and leave it open: to be closed.

        Raises:
            requests.RequestException: No head of an answer came within *timeout_s*.
        """
        request = self._template("POST", (self._root if at_root else self._base) + path).copy()
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        request.headers["Content-Type"] = "application/json"
        return Reply(self._send(request, line, timeout_s).raw, line)

    def can_ask_here(self, body: bytes) -> bool:
        """Whether the event loop can send *body*: it leaves at once, and to no proxy."""
        return len(body) <= MAX_REQUEST_BYTES and self._server().proxy is None

    def kept(self, path: str, body: bytes, line: Line, *, at_root: bool = False) -> Kept | None:
        """Return what ``ask`` asks for, for the event loop to ask; null if no connection is open.

        Only where it ``can_ask_here``, as ``opened``.
        """
        connection = self._server().kept(line)
        if connection is None:
            return None
        return self._kept(connection, path, body, line, at_root=at_root)

    def opened(self, path: str, body: bytes, line: Line, *, at_root: bool = False) -> Kept:
        """Return the same, on a connection that is made for it (on a thread).

        Raises:
            requests.RequestException: It cannot be made; OSError: neither by TLS.
        """
        try:
            connection = self._server().opened(line, self._connect_s)
        except NewConnectionError as exc:
            raise requests.ConnectionError(exc) from exc
        except ConnectTimeoutError as exc:
            raise requests.ConnectTimeout(exc) from exc
        return self._kept(connection, path, body, line, at_root=at_root)

    def _kept(
        self, connection: Connection, path: str, body: bytes, line: Line, *, at_root: bool
    ) -> Kept:
        head = self._head((self._root if at_root else self._base) + path)
        request = b"%b%d\r\n\r\n%b" % (head, len(body), body)
        return Kept(self._server(), connection, line, request)

    def _server(self) -> Pool:
        """Return the connections to the server."""
        if self._pool is None:
            template = self._template("POST", self._base)
            self._pool = self._adapter.pool_for(template, self._settings)
        return self._pool

    def close(self) -> None:
        """Close the connections that nobody uses."""
        self._session.close()
        # The session only forgets its pools, which end with the last who knows them.
        if self._pool is not None:
            self._pool.close()

    def _send(
        self, request: requests.PreparedRequest, line: Line, timeout_s: float
    ) -> requests.Response:
        """Return the head of the answer to *request*.

        It is sent once more if the connection was reset: always for a GET; for a POST only if the
        connection had been kept and is reset at once, since then the server closed it before it
        read the request. llama.cpp does so after each stream, although it promises to keep it.
        """
        sent_at = time.monotonic()
        try:
            return self._send_once(request, line, timeout_s)
        except requests.ConnectionError as exc:
            at_once = time.monotonic() - sent_at < RESET_AT_ONCE_S
            may_repeat = request.method == "GET" or (line.reused and at_once)
            if line.hung_up or not may_repeat or not was_reset(exc):
                raise
        line.sent_again = True
        return self._send_once(request, line, timeout_s)

    def _send_once(
        self, request: requests.PreparedRequest, line: Line, timeout_s: float
    ) -> requests.Response:
        line.send_timeout_s = timeout_s
        self._switchboard.line = line
        try:
            # Not Session.send(): what it adds (cookies, hooks, redirects, the environment again)
            # costs as much as the exchange with a local server.
            return self._adapter.send(
                request, timeout=(self._connect_s, timeout_s), **self._settings
            )
        finally:
            self._switchboard.line = None

    def _target_of(self, response: requests.Response) -> requests.PreparedRequest | None:
        """Return what a redirect asks for, if it is one and stays within its origin."""
        if not 300 <= response.status_code < 400:  # noqa: PLR2004 - HTTP
            return None
        try:
            url = urljoin(response.url, response.headers.get("Location", ""))
            target = self._prepare("GET", url)
            # Of the URL that would be asked for: parsers disagree about "http://there\\@here/".
            return target if _same_origin(response.url, str(target.url)) else None
        except (ConfigInvalid, ValueError):
            return None  # no URL at all

    def _prepare(self, method: str, url: str) -> requests.PreparedRequest:
        headers = {
            "User-Agent": f"devsynthd/{__version__}",
            "Accept": "application/json, text/event-stream",
            "Accept-Encoding": "identity",  # compressed events would wait for each other
        }
        request = requests.PreparedRequest()
        try:
            request.prepare(method=method, url=url, headers=headers, auth=self._auth)
        except (requests.RequestException, ValueError) as exc:
            raise ConfigInvalid(
                f"llm_api_base {self.address!r} is not a usable URL: {exc}"
            ) from exc
        return request

    def _write_head(self, url: str) -> bytes:
        """Return the head of a POST to *url*, up to the length of its body."""
        request = self._template("POST", url)
        headers = {
            "Host": urlsplit(request.url or "").netloc.rpartition("@")[2],
            **request.headers,
            "Content-Type": "application/json",
        }
        headers.pop("Content-Length", None)
        lines = [f"POST {request.path_url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "Content-Length: "]).encode("latin-1")


def _same_origin(url: str, other: str) -> bool:
    here, there = urlsplit(url), urlsplit(other)
    return (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
