"""The accounts of a soak: what was sent, how it ended, and what the daemon counts. Pure."""

from collections import Counter

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Totals
from tests.soak.entry import Entry
from tests.soak.plan import MAX_PIECES, NONSENSE
from tests.soak.script import ANSWERED

MAX_TOLD = 20

_TALLIED = ("generate", NONSENSE)
"""The ops that the daemon counts whatever becomes of them; others only where they fail."""


class Ledger:
    """Counts every request once when it is sent and once when it ends; keeps the first breaches."""

    def __init__(self) -> None:
        self.sent = self.tokens = self.breaches = 0
        self.answered: Counter[str] = Counter()  # by op
        self.failed: Counter[str] = Counter()  # by code, ``cancelled`` among them
        self.vanished: Counter[str] = Counter()  # by op
        self.told: list[str] = []

    def begin(self) -> None:
        """Count a request as sent."""
        self.sent += 1

    def end(self, entry: Entry, problems: list[str]) -> None:
        """Count *entry*, which has its outcome, and tell of its *problems*."""
        if entry.outcome == ANSWERED:
            self.answered[entry.order.op] += 1
            self.tokens += entry.tokens
        else:
            self.failed[str(entry.outcome)] += 1
        self.tell(entry, problems)

    def vanish(self, op: str) -> None:
        """Count a request as one whose client has left."""
        self.vanished[op] += 1

    def tell(self, of: object, problems: list[str], *, at_least: int = 0) -> None:
        """Count *problems* as breaches, with what they are *of*.

        The first ones of all are kept, and *at_least* so many of these.
        """
        self.breaches += len(problems)
        room = max(MAX_TOLD - len(self.told), at_least)
        self.told += [f"{of}: {problem}" for problem in problems[:room]]

    def add(self, other: "Ledger") -> None:
        """Count all that *other* has counted."""
        self.sent += other.sent
        self.tokens += other.tokens
        self.answered += other.answered
        self.failed += other.failed
        self.vanished += other.vanished
        self.breaches += other.breaches
        self.told += other.told

    def balance(self) -> list[str]:
        """Return what is wrong with the own accounts."""
        ended = self.answered.total() + self.failed.total() + self.vanished.total()
        if ended == self.sent:
            return []
        return [f"{self.sent} were sent and {ended} have ended"]

    def disagreements(
        self, before: Totals, after: Totals, *, besides: int, most_pings: int
    ) -> list[str]:
        """Return where the daemon counted otherwise from *before* until *after*.

        *besides* is how many requests came from others, and succeeded; *most_pings* how many more
        the libraries may have sent of their own accord, where the daemon was silent for long.

        How a vanished request ended only the daemon knows, and it may not have got it at all:
        what it counts beyond what the clients saw must be covered by those, one by one.
        """
        requests = after.requests - before.requests - besides
        lost = self.sent - requests
        generations = after.generations - before.generations - self.answered["generate"]
        errors = Counter(after.errors)
        errors.subtract(before.errors)
        errors.subtract(self.failed)
        unseen = generations + errors.total()
        left = self.vanished.total() - lost
        untallied = sum(count for op, count in self.vanished.items() if op not in _TALLIED)
        problems = []
        if not -most_pings <= lost <= self.vanished.total():
            problems.append(f"it counts {requests} requests, {self.sent} were sent")
        if generations < 0:
            problems.append(f"it counts {-generations} generations too few")
        problems += [
            f"it counts {-count} of {code} too few" for code, count in errors.items() if count < 0
        ]
        if not left - untallied - most_pings <= unseen <= left:
            problems.append(
                f"it counts {generations} generations and {+errors} more than the clients saw, and"
                f" {left} requests came whose clients had left"
            )
        tokens = after.tokens - before.tokens - self.tokens
        if not 0 <= tokens <= generations * 2 * (MAX_PIECES + 1):
            problems.append(f"it counts {tokens} tokens more than the clients saw")
        if after.cancelled != after.errors.get(ErrorCode.CANCELLED, 0):
            problems.append("its two counts of what was cancelled differ")
        return problems
