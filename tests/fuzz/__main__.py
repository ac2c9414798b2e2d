"""Fuzzes what takes bytes from elsewhere, and tells how it went: ``python -m tests.fuzz``.

Bodies that are right, nearly right and wrong go to the protocol's codec, to daemons that run, to
the parsers of what servers answer, to the settings and the cache file, to the client and to `pipe`.
Prints a table, and each crash with its seed and the smallest body that was found for it; the exit
status is 1 if there is one. The same seed tries the same bodies. Ctrl-C ends it with what it has.
"""

import argparse
import logging
import sys
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.fuzz.target import ROUND, Crash, Outcome, Target, fuzz
from tests.fuzz.targets import TARGETS

BODIES = 100_000
MAX_SHOWN = 1500
_HEAD = f"{'target':<12} {'bodies':>9} {'seconds':>9} {'crashes':>8}"


def main() -> None:
    """Fuzz, print what came of it, and exit by that."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--bodies", type=int, default=BODIES, help="how many, in all (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="what decides which (%(default)s)")
    names = [target.name for target in TARGETS]
    parser.add_argument("--only", nargs="+", choices=names, help="these targets alone")
    given = parser.parse_args()
    chosen = [target for target in TARGETS if not given.only or target.name in given.only]
    logging.disable(logging.CRITICAL)  # what is said of bad files is said a thousand times here
    print(_HEAD, flush=True)  # noqa: T201
    outcomes = []
    for target, samples in shares(chosen, given.bodies):
        with tempfile.TemporaryDirectory(prefix="ds-") as folder:
            outcomes.append(fuzz(target, Path(folder), samples, given.seed))
        print(row(outcomes[-1]), flush=True)  # noqa: T201
        if outcomes[-1].was_stopped:
            break
    crashes = [(outcome.target, crash) for outcome in outcomes for crash in outcome.crashes]
    total = Outcome(
        "all", sum(each.bodies for each in outcomes), sum(each.seconds for each in outcomes)
    )
    total.crashes.extend(crash for _, crash in crashes)
    print(row(total))  # noqa: T201
    for name, crash in crashes:
        print(told(name, crash))  # noqa: T201
    sys.exit(bool(crashes))


def shares(targets: Sequence[Target], bodies: int) -> list[tuple[Target, int]]:
    """Return how many samples each of *targets* is to try, *bodies* in all."""
    whole = sum(target.share for target in targets)
    return [(target, max(1, bodies * target.share // whole)) for target in targets]


def row(outcome: Outcome) -> str:
    """Return the line of the table for *outcome*."""
    return (
        f"{outcome.target:<12} {outcome.bodies:>9} {outcome.seconds:>9.1f}"
        f" {len(outcome.crashes):>8}"
    )


def told(name: str, crash: Crash) -> str:
    """Return what it takes to see *crash* of the target *name* again, and to make a test of it."""
    again = f"python -m tests.fuzz --only {name} --seed {crash.seed} --bodies {ROUND}"
    where = "".join(traceback.format_tb(crash.error.__traceback__, limit=-4))
    error = _cut(f"{type(crash.error).__name__}: {crash.error}")
    return f"\n{name}: {again}\n  body: {_cut(repr(crash.sample))}\n{where}  {error}"


def _cut(text: str) -> str:
    more = len(text) - MAX_SHOWN
    return text if more <= 0 else f"{text[:MAX_SHOWN]}... ({more} characters more)"


if __name__ == "__main__":
    main()
