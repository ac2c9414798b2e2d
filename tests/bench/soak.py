"""Whether the daemon keeps its promises for long: ``python -m tests.bench.soak``.

Some clients keep hundreds of requests in flight, at a scripted upstream that answers well, badly
or not at all and goes away now and then; they cancel, set time limits and leave without a word.
Every request has to come to one end, the right one, with every byte of it right, and when all is
over the daemon has to be as it was. Prints the accounts; the exit status is 1 if a promise was
broken. Needs Linux.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from tests.bench.soak_report import Report, table
from tests.bench.soak_run import CONCURRENCY, Run
from tests.bench.soak_upstream import SoakUpstream
from tests.bench.soak_watch import Monitor
from tests.support.daemon import daemon_process

SECONDS, CLIENTS, STREAMS = 600.0, 20, 200


def soak(
    folder: Path,
    *,
    seconds: float = SECONDS,
    clients: int = CLIENTS,
    streams: int = STREAMS,
    seed: int = 1,
) -> Report:
    """Soak a daemon with its files in *folder*, and return the accounts.

    *clients* keep *streams* requests in flight, all together, for *seconds*; *seed* decides what
    they ask for.
    """
    upstream = SoakUpstream()
    settings = {
        "LLM_PROVIDER": "openai",
        "LLM_API_BASE": upstream.url,
        "DAEMON_MAX_CONCURRENCY": str(CONCURRENCY),
        "DAEMON_QUEUE_LIMIT": str(streams),  # so that it is never full
        "DAEMON_LOG_FORMAT": "json",
    }
    environ = {f"DEVSYNTH_{name}": value for name, value in settings.items()}
    try:
        with daemon_process(folder, environ=environ) as daemon, Monitor(daemon.endpoint) as monitor:
            run = Run(daemon, monitor, upstream, clients=clients, each=streams // clients)
            return run.report(seconds, seed)
    finally:
        upstream.close()


def main() -> None:
    """Soak in a folder of its own, print the accounts and exit by the verdict."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="for how long")
    parser.add_argument("--clients", type=int, default=CLIENTS, help="how many connections")
    parser.add_argument("--streams", type=int, default=STREAMS, help="requests in flight in all")
    parser.add_argument("--seed", type=int, help="what decides what is asked (default: the time)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if sys.platform != "linux":
        parser.error("it reads /proc, which only Linux has")
    if not 1 <= given.clients <= given.streams:
        parser.error(f"{given.clients} clients cannot keep {given.streams} requests in flight")
    with tempfile.TemporaryDirectory(prefix="ds-") as folder:
        report = soak(
            Path(folder),
            seconds=given.seconds,
            clients=given.clients,
            streams=given.streams,
            seed=int(time.time()) if given.seed is None else given.seed,
        )
    if given.json:
        shown = {**msgspec.to_builtins(report), "passed": report.passed}
        sys.stdout.write(msgspec.json.encode(shown).decode() + "\n")
    else:
        sys.stdout.write(table(report))
    sys.exit(not report.passed)


if __name__ == "__main__":
    main()
