"""``ping`` and ``status``: what the daemon is and how it does."""

import os
from collections import Counter
from collections.abc import Callable

from msgspec import Struct

from devsynthd import __version__
from devsynthd.catalog.catalog import Catalog
from devsynthd.host.clock import elapsed_s
from devsynthd.scheduling.turns import Turns
from devsynthd.service.call import Call
from devsynthd.wire import limits
from devsynthd.wire.errors import Cancelled, DevsynthError
from devsynthd.wire.objects import ConfigStatus, ModelCounts, QueueStatus, Totals
from devsynthd.wire.requests import REQUEST_TYPES
from devsynthd.wire.results import Limits, Pong, StatusReport


class Identity(Struct, frozen=True):
    """What stays the same for the life of one daemon; *instance* is random."""

    instance: str
    socket: str


class Tally:
    """Counts since the daemon's start."""

    def __init__(self) -> None:
        self.requests = self.generations = self.tokens = self.cancelled = 0
        self.errors: Counter[str] = Counter()

    def failed(self, error: DevsynthError) -> None:
        """Count *error*."""
        self.errors[error.code] += 1
        self.cancelled += isinstance(error, Cancelled)

    def totals(self) -> Totals:
        """Return the counts as ``status`` tells them."""
        return Totals(
            requests=self.requests,
            generations=self.generations,
            tokens=self.tokens,
            errors=dict(self.errors),
            cancelled=self.cancelled,
        )


class StatusService:
    """Answers ``ping`` and ``status``."""

    def __init__(
        self,
        identity: Identity,
        catalog: Catalog,
        tally: Tally,
        turns: Turns,
        *,
        config: Callable[[], ConfigStatus],
        resident_bytes: Callable[[], int | None],
        clock: Callable[[], float] = elapsed_s,
    ) -> None:
        self._identity, self._catalog = identity, catalog
        self._tally, self._turns = tally, turns
        self._config, self._resident_bytes, self._clock = config, resident_bytes, clock
        self._started = clock()
        self._pong = Pong(
            version=__version__,
            protocol=limits.PROTOCOL_VERSION,
            pid=os.getpid(),
            instance=identity.instance,
            ops=tuple(REQUEST_TYPES),
            limits=Limits(
                max_body_bytes=limits.MAX_BODY_BYTES,
                max_message_bytes=limits.MAX_MESSAGE_BYTES,
                max_messages=limits.MAX_MESSAGES,
                max_parts=limits.MAX_PARTS,
                max_inputs=limits.MAX_INPUTS,
                max_free_form_bytes=limits.MAX_FREE_FORM_BYTES,
            ),
        )

    def ping(self) -> Pong:
        """Return who answers, what it speaks and its limits."""
        return self._pong

    def status(self, calls: list[Call]) -> StatusReport:
        """Return how the daemon does; *calls* are the requests under way."""
        view, queue = self._catalog.view, self._turns.queue
        models = view.models or ()
        return StatusReport(
            version=__version__,
            protocol=limits.PROTOCOL_VERSION,
            pid=os.getpid(),
            instance=self._identity.instance,
            uptime_s=self._clock() - self._started,
            socket=self._identity.socket,
            config=self._config(),
            source=self._catalog.source(),
            selection=view.selection,
            models=ModelCounts(len(models), sum(model.loaded is True for model in models)),
            queue=QueueStatus(queue.running, queue.waiting, queue.limit, queue.max_running),
            requests=tuple(call.info(self._turns.position(call)) for call in calls),
            totals=self._tally.totals(),
            memory_bytes=self._resident_bytes(),
        )
