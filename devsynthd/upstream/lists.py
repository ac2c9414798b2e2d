"""Questions that one body answers: lists of models, and what tells one server from another."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TypeVar

from msgspec import Struct

from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import CHECK_BASE
from devsynthd.upstream.http import Http
from devsynthd.upstream.line import Line
from devsynthd.upstream.reply import Reply
from devsynthd.upstream.transport_errors import Patience, SizeLimit, check_size, upstream_errors
from devsynthd.wire.errors import DevsynthError, UpstreamTimeout

BODY_LIMIT = SizeLimit(16 * 2**20, "in one answer", "The server's own log may say more.")
LIST_LIMIT = SizeLimit(16 * 2**20, "as its list of models", CHECK_BASE)
LIST_THREADS = 2
ASIDE_S = 1.0

T = TypeVar("T")


class Body(Struct, frozen=True):
    """What came back, whatever its status."""

    status: int
    content_type: str
    data: bytes


class Lists:
    """Asks *http* for whole bodies, on threads of its own.

    A question takes *list_s* at most, and *connect_s* more where a connection has to be made: one
    that is not made in time is something else than a list that does not come.
    """

    def __init__(
        self,
        http: Http,
        *,
        list_s: float,
        connect_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http, self._list_s, self._clock = http, list_s, clock
        self._limit_s = list_s + connect_s
        self._exchanges = Exchanges(LIST_THREADS, name="upstream-list")

    async def run(self, question: Callable[[Line], T]) -> T:
        """Return what *question* returns, called on a thread; it may ``get`` several times.

        Raises:
            UpstreamTimeout: It took too long.
        """
        try:
            async with asyncio.timeout(self._limit_s):
                return await self._exchanges.run(question)
        except TimeoutError:
            raise UpstreamTimeout(
                f"{self._http.address} did not list its models within {self._list_s:g} s",
                hint="The server may be busy: try again.",
            ) from None

    def get(
        self, path: str, line: Line, *, limit_s: float | None = None, at_root: bool = False
    ) -> Body:
        """Return the answer to GET *path*, within *limit_s* (from a thread); as ``Http.get``.

        Raises:
            DevsynthError: There was none: ``upstream_unavailable``, ``upstream_timeout``.
        """
        limit_s = self._list_s if limit_s is None else limit_s
        patience = Patience("the list of models", limit_s, "The server may be busy: try again.")
        exchange = self._http.get(path, line, timeout_s=limit_s, at_root=at_root)
        return whole_body(
            self._http.address, exchange, patience, limit=LIST_LIMIT, clock=self._clock
        )

    def aside(self, path: str, line: Line, *, at_root: bool = False) -> Body:
        """Return the answer to a question that the list can do without (from a thread).

        If none comes soon, it is an empty one with the status 0.
        """
        try:
            return self.get(path, line, limit_s=min(ASIDE_S, self._list_s), at_root=at_root)
        except DevsynthError:
            return Body(0, "", b"")

    async def close(self) -> None:
        """Hang up on what is under way and let go of the threads."""
        await self._exchanges.close()


def whole_body(
    address: str,
    exchange: AbstractContextManager[Reply],
    patience: Patience,
    *,
    limit: SizeLimit = BODY_LIMIT,
    clock: Callable[[], float] = time.monotonic,
) -> Body:
    """Return what answers *exchange*, read to its end (on a thread).

    Raises:
        DevsynthError: Nothing did (``upstream_unavailable``, ``upstream_timeout``), or it exceeds
            *limit*.
    """
    deadline = clock() + patience.seconds
    with upstream_errors(address, lambda: patience), exchange as reply:
        data = reply.read_all(limit.max_bytes, lambda: deadline - clock())
    check_size(address, data, limit)
    return Body(reply.status, reply.content_type, data)
