"""Whether the daemon keeps its promises through anything: ``make soak MINUTES=10``.

Clients of all kinds keep requests in flight, at servers that answer well, badly or not at all; the
config file is edited and broken, strangers knock, the engine, the server and the daemon itself are
killed and come back. Every request has to come to one end, the right one, with every byte of it
right; every setting that was said to be written is; and when all is over the daemon is as it was.
Prints the accounts; the exit status is 1 if a promise was broken. Needs Linux.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.soak.report import Report, table
from tests.soak.soak import CLIENTS, STREAMS, soak

MINUTES = 10.0


def main() -> None:
    """Soak in a folder of its own, print the accounts and exit by the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="for how long")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="connections of the crowd")
    parser.add_argument("--streams", type=int, default=STREAMS, help="its requests in flight")
    parser.add_argument("--seed", type=int, help="what decides what is done (default: the time)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if sys.platform != "linux":
        parser.error("it reads /proc, which only Linux has")
    if not 1 <= given.clients <= given.streams:
        parser.error(f"{given.clients} clients cannot keep {given.streams} requests in flight")
    seed = int(time.time()) if given.seed is None else given.seed
    with tempfile.TemporaryDirectory(prefix="ds-") as folder:
        report = soak(
            Path(folder),
            seconds=given.minutes * 60,
            clients=given.clients,
            streams=given.streams,
            seed=seed,
        )
    sys.stdout.write(_as_json(report) if given.json else table(report))
    sys.exit(not report.passed)


def _as_json(report: Report) -> str:
    shown = {**msgspec.to_builtins(report), "passed": report.passed}
    return msgspec.json.encode(shown).decode() + "\n"


if __name__ == "__main__":
    main()
