"""Pooled connections whose exchanges can be hung up on: urllib3's, and a requests adapter on them.

Each exchange has a thread of its own, and its ``Line`` is that thread's current one.
"""

import ipaddress
import queue
import select
import socket
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import requests
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from urllib3 import PoolManager
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from devsynthd.upstream.eager import EagerResponse
from devsynthd.upstream.line import Hold, Line

MAX_IDLE_S = 4.0
"""A connection that was idle for so long is not used again: LM Studio closes it after 5 s, and a
request that crosses with that is lost."""


PROXY_URL = (
    "is not like http://HOST:PORT (in user and password, write / as %2F, @ as %40, # as %23)"
)


class Switchboard(threading.local):
    """The line of each thread's exchange."""

    line: Line | None = None


AddressInfo = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]
"""What ``socket.getaddrinfo`` tells of an address."""


def addresses(host: str, port: int) -> list[AddressInfo]:
    """Return the addresses of *host*, in the order in which they are tried.

    For ``localhost`` IPv4 comes first: LM Studio listens there only.

    Raises:
        OSError: It has none, or nobody can say.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as exc:  # no name could be so: "a..b"
        raise socket.gaierror(socket.EAI_NONAME, "no host has such a name") from exc
    if host == "localhost":
        return sorted(found, key=lambda info: info[0] != socket.AF_INET)
    return [*found]


def dial(
    host: str, port: int, *, timeout_s: float | None, options: list[Any] | None, line: Line
) -> socket.socket:
    """Return a socket connected to *host*, held by *line* since before it was connected.

    *timeout_s* is shared among the addresses of *host*; each *options* is (level, name, value).

    Raises:
        OSError: No address accepts, in time, or somebody hung up.
    """
    found = addresses(host, port)
    deadline = None if timeout_s is None else time.monotonic() + timeout_s
    refusal: OSError = OSError("the host has no address")
    for position, (family, kind, protocol, _, address) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            for option in options or ():
                sock.setsockopt(*option)
            if deadline is not None:
                left = (deadline - time.monotonic()) / (len(found) - position)
                sock.settimeout(max(left, 0.001))
            line.take(Hold(sock))
            sock.connect(address)
        except OSError as exc:
            sock.close()
            refusal = exc
        else:
            if not line.hung_up:
                return sock
            sock.close()
        if line.hung_up:
            raise ConnectionAbortedError("hung up while connecting")
    raise refusal


class Connection(HTTPConnection):
    """A connection that belongs to the line of the exchange that uses it."""

    response_class = EagerResponse
    line: Line
    idle_since: float
    _hold: Hold | None = None

    def _new_conn(self) -> socket.socket:
        try:
            sock = dial(
                self.host,
                self.port,
                timeout_s=self.timeout,
                options=self.socket_options,
                line=self.line,
            )
        except socket.gaierror as exc:
            raise NameResolutionError(self.host, self, exc) from exc
        except TimeoutError as exc:
            raise ConnectTimeoutError(self, f"not within {self.timeout} s") from exc
        except OSError as exc:
            raise NewConnectionError(self, str(exc)) from exc
        self._hold = self.line.hold
        if self._hold is not None:
            self._hold.keep()
        return sock

    def connect(self) -> None:
        """Connect; a TLS handshake that hangs is a connection that hangs, no silent answer."""
        try:
            super().connect()
        except TimeoutError as exc:
            raise ConnectTimeoutError(self, f"not within {self.timeout} s") from exc

    def request(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        """Connect within the connect timeout, then send within the line's own."""
        if self.sock is None:
            self.connect()
        self.timeout = self.line.send_timeout_s
        self.line.wire = self.sock
        super().request(*args, **kwargs)

    def close(self) -> None:
        """Close it; what has not been read of an answer can be read on, and hung up on."""
        super().close()
        if self._hold is not None:
            self._hold.leave()
            self._hold = None

    @property
    def is_quiet(self) -> bool:
        """Whether it is open and nothing has come: neither its end nor what nobody asked for."""
        # What urllib3's `is_connected` does, without its layers: each generation waits for it.
        if self.sock is None:
            return False
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not poll.poll(0)

    def join(self, line: Line) -> None:
        """Have *line* hold this connection, which is open."""
        if self._hold is not None:
            line.take(self._hold)


class TlsConnection(Connection, HTTPSConnection):
    """The same over TLS."""


class Pool(HTTPConnectionPool):
    """Gives a connection the line of the thread that takes it, and notes when it comes back."""

    ConnectionCls = Connection

    def __init__(
        self,
        switchboard: Switchboard,
        clock: Callable[[], float],
        *args: Any,  # noqa: ANN401 - passed through
        **kwargs: Any,  # noqa: ANN401 - passed through
    ) -> None:
        super().__init__(*args, **kwargs)
        self._switchboard, self._clock = switchboard, clock

    def _get_conn(self, timeout: float | None = None) -> Any:  # noqa: ANN401 - a Connection
        connection: Any = super()._get_conn(timeout)
        connection.line = line = self._switchboard.line or Line()
        line.reused = connection.sock is not None
        if connection.sock is not None:
            if line.sent_again or self._is_old(connection):
                connection.close()  # it opens anew when it is used
                line.reused = False
            else:
                connection.join(line)
        return connection

    def kept(self, line: Line) -> Connection | None:
        """Return a connection that is open, taken by *line*; null if one has to be made.

        It is to be given back.
        """
        try:
            connection = None if self.pool is None else self.pool.get_nowait()
        except queue.Empty:
            return None
        if not isinstance(connection, Connection):
            self.give_back(connection)
            return None
        connection.line = line
        if self._is_old(connection) or not connection.is_quiet:
            connection.close()
            self.give_back(connection)
            return None
        line.reused = True
        connection.join(line)
        return connection

    def opened(self, line: Line, timeout_s: float) -> Connection:
        """Return a connection that is made now, within *timeout_s*, for *line* (on a thread).

        Raises:
            urllib3.exceptions.HTTPError: It cannot be made; OSError: neither by TLS.
        """
        connection: Any = super()._get_conn()
        connection.close()
        connection.line, connection.timeout = line, timeout_s
        try:
            connection.connect()
        except BaseException:
            connection.close()
            self.give_back(connection)
            raise
        return cast("Connection", connection)

    def give_back(self, connection: Connection | None) -> None:
        """Take back what ``kept`` or ``opened`` returned."""
        self._put_conn(connection)

    def _is_old(self, connection: Connection) -> bool:
        return self._clock() - connection.idle_since >= MAX_IDLE_S

    def _put_conn(self, conn: Any) -> None:  # noqa: ANN401 - a Connection or None
        if isinstance(conn, Connection):
            if not conn.line.let_go():
                conn.close()
            conn.idle_since = self._clock()
        super()._put_conn(conn)


class TlsPool(Pool, HTTPSConnectionPool):
    """The same over TLS."""

    ConnectionCls = TlsConnection


class Adapter(HTTPAdapter):
    """Sends prepared requests over such connections, through a proxy or not."""

    def __init__(
        self, switchboard: Switchboard, *, max_connections: int, clock: Callable[[], float]
    ) -> None:
        self._pools = {
            "http": partial(Pool, switchboard, clock),
            "https": partial(TlsPool, switchboard, clock),
        }
        super().__init__(pool_connections=2, pool_maxsize=max_connections)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - passed through
        """Make the pools for direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._use_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed through
        """Return the pools for connections through a proxy."""
        manager = super().proxy_manager_for(*args, **kwargs)
        self._use_pools(manager)
        return manager

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Return the pool of connections for a request, through a proxy or not.

        Raises:
            requests.exceptions.InvalidProxyURL: The proxy's URL is none.
            OSError: It is told to trust a CA file that is not there.
        """
        try:
            return super().get_connection_with_tls_context(*args, **kwargs)
        except requests.RequestException as exc:
            if not isinstance(exc, requests.exceptions.InvalidProxyURL):
                raise
        except (ValueError, TypeError):
            pass  # no part of the chain: it quotes the URL, and that may have a password in it
        raise requests.exceptions.InvalidProxyURL(f"its URL {PROXY_URL}")

    def pool_for(self, request: PreparedRequest, settings: dict[str, Any]) -> Pool:
        """Return the connections that *request* goes by under *settings* of the environment.

        Raises:
            OSError: It is told to trust a CA file that is not there.
        """
        verify = settings["verify"]
        pool: Any = self.get_connection_with_tls_context(
            request, verify, settings["proxies"], settings["cert"]
        )
        verified: Any = self.cert_verify  # which says nothing of its types
        verified(pool, request.url or "", verify, settings["cert"])
        return cast("Pool", pool)

    def build_response(self, req: PreparedRequest, resp: Any) -> Response:  # noqa: ANN401 - urllib3's
        """Return the response without what nobody reads here, cookies above all."""
        response = Response()
        response.status_code = resp.status
        response.headers = CaseInsensitiveDict(resp.headers)
        response.raw, response.request, response.url = resp, req, req.url or ""
        return response

    def _use_pools(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = self._pools  # type: ignore[assignment]  # made, not subclassed


def is_loopback(host: str) -> bool:
    """Whether *host*, a name or an address, is this machine."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
