"""Vectors from one server: texts go out, a vector each comes back in one body."""

import time
from collections.abc import Callable
from functools import partial

from devsynthd.upstream.base import Stages, Vectors
from devsynthd.upstream.bodies import vectors_body
from devsynthd.upstream.exchanges import Exchanges
from devsynthd.upstream.failures import ModelGone, final
from devsynthd.upstream.http import Http, Timeouts
from devsynthd.upstream.line import Line
from devsynthd.upstream.lists import whole_body
from devsynthd.upstream.transport_errors import Patience, SizeLimit, given_time
from devsynthd.upstream.vectors import vectors_of

VECTORS_LIMIT = SizeLimit(
    64 * 2**20, "of vectors", "Send fewer texts at once.", max_values=64 * 2**20
)


class Embeddings:
    """Asks at *path* of *http*, on threads of *exchanges*; keeps *secrets* out of errors."""

    def __init__(
        self,
        http: Http,
        path: str,
        timeouts: Timeouts,
        exchanges: Exchanges,
        *,
        secrets: tuple[str, ...],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._http, self._path, self._exchanges, self._clock = http, path, exchanges, clock
        self._secrets, self._connect_s = secrets, timeouts.connect_s
        self._patience = Patience(
            "the vectors",
            timeouts.first_token_s,
            "A model that is being loaded, or many texts, take their time: raise"
            " llm_first_token_timeout if they need longer.",
        )

    async def embed(self, model: str, texts: tuple[str, ...], stages: Stages) -> Vectors:
        """Return the vectors that *model* makes of *texts*; *stages* is told ``sent`` first.

        Raises:
            DevsynthError: As ``Upstream.embed`` says.
        """
        stages.sent()
        limit_s = self._connect_s + self._patience.seconds
        async with given_time(self._http.address, self._patience, limit_s):
            return await self._exchanges.run(partial(self._fetch, model, texts))

    def _fetch(self, model: str, texts: tuple[str, ...], line: Line) -> Vectors:
        """Ask for the vectors and read them (on a thread)."""
        body = whole_body(
            self._http.address,
            self._http.post(
                self._path, vectors_body(model, texts), line, timeout_s=self._patience.seconds
            ),
            self._patience,
            limit=VECTORS_LIMIT,
            clock=self._clock,
        )
        try:
            return vectors_of(body, len(texts), address=self._http.address, secrets=self._secrets)
        except ModelGone as gone:
            if line.sent_again:
                raise final(gone) from gone
            raise
