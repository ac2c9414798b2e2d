"""The accounts of a soak: what was sent, how it ended, and what the daemon counts. Pure."""

from collections import Counter

from devsynthd.wire.errors import ErrorCode
from devsynthd.wire.objects import Totals
from tests.bench.soak_entry import Entry
from tests.bench.soak_plan import MAX_PIECES
from tests.bench.soak_script import ANSWERED

MAX_TOLD = 20

_NOT_TALLIED = ("embed", "ping", "status", "list", "cancel")  # where they succeed


class Ledger:
    """Counts every request once when it is sent and once when it ends; keeps the first breaches."""

    def __init__(self) -> None:
        self.sent = self.tokens = self.breaches = 0
        self.answered: Counter[str] = Counter()  # by op
        self.failed: Counter[str] = Counter()  # by code, ``cancelled`` among them
        self.vanished: Counter[str] = Counter()  # by op
        self.told: list[str] = []

    @property
    def cancelled(self) -> int:
        """How many were cancelled and told so."""
        return self.failed[ErrorCode.CANCELLED]

    @property
    def failed_otherwise(self) -> dict[str, int]:
        """How many failed, by code, without those that were cancelled."""
        failed = sorted(self.failed.items())
        return {code: count for code, count in failed if code != ErrorCode.CANCELLED}

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

    def vanish(self, entry: Entry) -> None:
        """Count *entry* as one whose client has left."""
        self.vanished[entry.order.op] += 1

    def tell(self, of: object, problems: list[str], *, at_least: int = 0) -> None:
        """Count *problems* as breaches, with what they are *of*.

        The first ones of all are kept, and *at_least* so many of these.
        """
        self.breaches += len(problems)
        room = max(MAX_TOLD - len(self.told), at_least)
        self.told += [f"{of}: {problem}" for problem in problems[:room]]

    def balance(self) -> list[str]:
        """Return what is wrong with the own accounts."""
        ended = self.answered.total() + self.failed.total() + self.vanished.total()
        if ended == self.sent:
            return []
        return [f"{self.sent} were sent and {ended} have ended"]

    def disagreements(self, before: Totals, after: Totals, *, besides: int) -> list[str]:
        """Return where the daemon counted otherwise from *before* until *after*.

        *besides* is how many requests came from others, and succeeded.

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
        untallied = sum(self.vanished[op] for op in _NOT_TALLIED)
        problems = []
        if not 0 <= lost <= self.vanished.total():
            problems.append(f"it counts {requests} requests, {self.sent} were sent")
        if generations < 0:
            problems.append(f"it counts {-generations} generations too few")
        problems += [
            f"it counts {-count} of {code} too few" for code, count in errors.items() if count < 0
        ]
        if not left - untallied <= unseen <= left:
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
