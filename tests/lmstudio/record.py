"""What clients have asked for, so that tests can judge their manners."""

import threading

from tests.support.upstream_exchange import WAIT_S, Exchange


class Record:
    """All requests since the beginning, over restarts of the server."""

    def __init__(self) -> None:
        self._exchanges: list[Exchange] = []
        self._grown = threading.Condition()

    def add(self, exchange: Exchange) -> None:
        """Note a request that has just arrived."""
        with self._grown:
            self._exchanges.append(exchange)
            self._grown.notify_all()

    def requests(self, *, path: str | None = None, method: str | None = None) -> list[Exchange]:
        """Return the requests so far, of this path and method if they are given."""
        with self._grown:
            return self._matching(path, method)

    def wait(
        self,
        number: int,
        *,
        path: str | None = None,
        method: str | None = None,
        timeout_s: float = WAIT_S,
    ) -> Exchange:
        """Return the request *number* (from 1) of this kind once it has arrived."""
        with self._grown:
            enough = self._grown.wait_for(
                lambda: len(self._matching(path, method)) >= number, timeout_s
            )
            kind = f"{method or 'any'} {path or 'path'}"
            assert enough, f"request {number} ({kind}) has not come in {timeout_s} s"
            return self._matching(path, method)[number - 1]

    def _matching(self, path: str | None, method: str | None) -> list[Exchange]:
        return [
            exchange
            for exchange in self._exchanges
            if path in {None, exchange.path.partition("?")[0]} and method in {None, exchange.method}
        ]
