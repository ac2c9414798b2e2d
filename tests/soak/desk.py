"""Where the clients of a soak have their requests put down, and what came of them. For threads."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from types import ModuleType

import msgspec
from msgspec import Struct

from devsynthctl.errors import ConnectionLost, NoAnswer, info_of
from devsynthd.wire.errors import DevsynthError
from devsynthd.wire.objects import ErrorInfo
from devsynthd.wire.replies import Progress
from devsynthd.wire.results import RESULT_TYPES, AnyResult
from tests.soak.entry import Entry, Trouble
from tests.soak.ledger import Ledger
from tests.soak.outages import Outages
from tests.soak.plan import Order
from tests.soak.upstream import SoakUpstream


class Asked(Struct, frozen=True):
    """A script that is over for its client, and how often the upstream may have had it."""

    key: str
    at_most: int


class Desk:
    """Puts every request down in *ledger* once when it is sent and once when it ends."""

    def __init__(self, ledger: Ledger, upstream: SoakUpstream, daemon: Outages) -> None:
        self._ledger, self._upstream, self._daemon = ledger, upstream, daemon
        self._lock = threading.Lock()
        self._ids = itertools.count(1)
        self._asked: list[Asked] = []
        self.doings: Counter[str] = Counter()  # what was done to the daemon, by name

    def did(self, what: str) -> None:
        """Count something that was done to the daemon."""
        with self._lock:
            self.doings[what] += 1

    def open(self, order: Order, target: Entry | None = None) -> Entry:
        """Put *order* down, as it is about to be sent; *target* is what it cancels."""
        with self._lock:
            number = next(self._ids)
            self._ledger.begin()
        again = target is not None and target.cancels > 1
        request_id = number if number % 2 else f"id-{number}"
        return Entry(order, request_id, time.monotonic(), target=target, again=again)

    def trouble(self, since: float) -> Trouble:
        """Return what was away at any time since then (``time.monotonic``)."""
        return Trouble(self._upstream.outages.felt(since), self._daemon.felt(since))

    def result(self, entry: Entry, result: AnyResult) -> None:
        """Put down that *entry* got *result*."""
        trouble = self.trouble(entry.sent_at)
        problems = entry.take_result(result, time.monotonic(), self._arrivals(entry), trouble)
        self._end(entry, trouble, problems)

    def read_result(self, entry: Entry, raw: bytes, encoding: ModuleType = msgspec.json) -> None:
        """Put down a result as it came, in JSON or as *encoding* has it."""
        self.result(entry, encoding.decode(raw, type=RESULT_TYPES[entry.order.op]))

    def error(self, entry: Entry, error: DevsynthError | ErrorInfo) -> None:
        """Put down that *entry* failed."""
        info = info_of(error) if isinstance(error, DevsynthError) else error
        trouble = self.trouble(entry.sent_at)
        if info.code == NoAnswer.code and (trouble.daemon or "timeout" in entry.order.fields):
            # It had less time than it takes to connect: no daemon has heard of it.
            entry.outcome = info.code
            self.did("gave up while connecting")
            self.vanish(entry)
            return
        problems = entry.take_error(info, time.monotonic(), self._arrivals(entry), trouble)
        self._end(entry, trouble, problems)

    def progress(self, entry: Entry, progress: Progress) -> None:
        """Put down how far *entry* is."""
        problems = entry.take_progress(progress)
        # A pipe asks the next daemon what one refuses that ends, and that counts from 1 again.
        if not self.trouble(entry.sent_at).daemon:
            self.tell(entry, problems)

    def lose(self, entry: Entry) -> None:
        """Put down that the connection of *entry* was lost."""
        self.error(entry, ConnectionLost("the daemon hung up"))

    def vanish(self, entry: Entry, *, cancels: bool = False) -> None:
        """Put down that nobody will hear how *entry* ends.

        A library *cancels* then what nobody waits for, by a request of its own.
        """
        trouble = self.trouble(entry.sent_at)
        with self._lock:
            self._ledger.vanish(entry.order.op)
            if cancels:
                self._ledger.begin()
                self._ledger.vanish("cancel")
            self._note(entry, trouble)

    def tell(self, of: object, problems: list[str]) -> None:
        """Put *problems* down as breaches, with what they are *of*."""
        with self._lock:
            self._ledger.tell(of, problems)

    def asked_too_often(self) -> Iterator[str]:
        """Return what the upstream was asked too often, also after its client had its end."""
        for asked in self._asked:
            arrivals = self._upstream.arrivals(asked.key)
            if arrivals > asked.at_most:
                yield f"{asked.key}: asked {arrivals} times, expected at most {asked.at_most}"

    def _arrivals(self, entry: Entry) -> int:
        script = entry.order.script
        return 0 if script is None else self._upstream.arrivals(script.key)

    def _end(self, entry: Entry, trouble: Trouble, problems: list[str]) -> None:
        with self._lock:
            self._ledger.end(entry, problems)
            self._note(entry, trouble)

    def _note(self, entry: Entry, trouble: Trouble) -> None:
        if entry.order.script is not None:
            at_most = entry.most_arrivals + trouble.upstream
            self._asked.append(Asked(entry.order.script.key, at_most))
