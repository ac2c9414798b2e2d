"""One soak from the warm-up to the accounts: who does what, and what has to be true at the end."""

import json
import os
import signal
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from devsynthd.upstream.lists import LIST_THREADS
from tests.bench.soak_clients import Crowd
from tests.bench.soak_ledger import Ledger
from tests.bench.soak_plan import Conduct, Restless, WarmUp
from tests.bench.soak_report import MIB, Report, memory_of
from tests.bench.soak_script import chance
from tests.bench.soak_upstream import SoakUpstream
from tests.bench.soak_watch import (
    UPSTREAM,
    Monitor,
    connections_at,
    cpu_s,
    footprint,
    resident_bytes,
)
from tests.support.daemon import DaemonProcess

CONCURRENCY = 64
MAX_CONNECTIONS = CONCURRENCY + LIST_THREADS
END_S = 90.0  # for what is in flight at the end: slow answers, some waiting for others
SETTLE_S = 15.0
LOOK_S = 0.05

SHORT_S = 60.0  # in less than that there is one outage, half-way
LONG_S = 300.0  # in less than that memory may not have come to its level
MAX_GROWTH_MIB, MAX_GROWTH_SHORT_MIB = 5, 10

# The pools for lists, for files and for connections grow when two of their jobs meet: the warm-up
# need not see that.
MORE_THREADS = (
    LIST_THREADS
    + min(32, (os.cpu_count() or 1) + 4)
    + CONCURRENCY
    - len(("lists", "files", "connections"))
)


class Run:
    """A soak of *daemon*, by so many *clients* with so many requests *each*."""

    def __init__(
        self,
        daemon: DaemonProcess,
        monitor: Monitor,
        upstream: SoakUpstream,
        *,
        clients: int,
        each: int,
    ) -> None:
        self._daemon, self._monitor, self._upstream = daemon, monitor, upstream
        self._clients, self._each = clients, each
        self._pid = daemon.process.pid
        self._ledger = Ledger()

    def report(self, seconds: float, seed: int) -> Report:
        """Warm up, soak for *seconds*, wait until all is quiet, and return the accounts."""
        ledger, pid = self._ledger, self._pid
        totals = self._monitor.status().totals
        alone = footprint(pid).descriptors
        self._warm_up()
        self._come_to_rest(alone, most_threads=None)
        before = footprint(pid)

        started, computed_s = time.monotonic(), cpu_s(pid)
        samples = self._soak(seconds, seed)
        computed_s, took_s = cpu_s(pid) - computed_s, time.monotonic() - started

        self._come_to_rest(alone, most_threads=before.threads + MORE_THREADS)
        after, memory = footprint(pid), memory_of(samples)
        most = (MAX_GROWTH_SHORT_MIB if seconds < LONG_S else MAX_GROWTH_MIB) * MIB
        if memory.growth > most:
            grown = f"it grew by {memory.growth / MIB:.1f} MiB, at most {most // MIB} are allowed"
            ledger.tell("the daemon's memory", [grown])
        besides = self._monitor.asked
        now = self._monitor.status().totals
        ledger.tell("the clients' accounts", ledger.balance())
        problems = ledger.disagreements(totals, now, besides=besides)
        ledger.tell("the daemon's accounts", problems)
        # Its log has the reasons for what came before.
        ledger.tell("the daemon's end", self._end(), at_least=3)
        return Report(
            seconds=took_s,
            seed=seed,
            sent=ledger.sent,
            answered=ledger.answered.total(),
            cancelled=ledger.cancelled,
            vanished=ledger.vanished.total(),
            failed=ledger.failed_otherwise,
            tokens=ledger.tokens,
            restarts=self._upstream.restarts,
            cpu_s=computed_s,
            before=before,
            after=after,
            memory=memory,
            breach_count=ledger.breaches,
            breaches=tuple(ledger.told),
        )

    def _warm_up(self) -> None:
        crowd = self._crowd(WarmUp())
        crowd.finish(END_S)
        crowd.close()

    def _soak(self, seconds: float, seed: int) -> list[int]:
        """Soak until all has ended; return the memory in bytes, second by second."""
        samples: list[int] = []
        over = threading.Event()
        crowd = self._crowd(Restless(seed))
        try:
            with ThreadPoolExecutor(1, thread_name_prefix="outages") as pool:
                outages = pool.submit(self._outages, seconds, seed, over)
                try:
                    crowd.run(seconds, lambda: samples.append(self._resident_bytes()))
                finally:
                    over.set()
                crowd.finish(END_S)
                outages.result()
        finally:
            crowd.close()
        return samples

    def _resident_bytes(self) -> int:
        exit_status = self._daemon.process.poll()
        if exit_status is not None:
            told = f"the daemon has ended with status {exit_status}"
            raise AssertionError(f"{told}:\n{self._daemon.log()}")
        return resident_bytes(self._pid)

    def _outages(self, seconds: float, seed: int, over: threading.Event) -> None:
        """Let the upstream go and come back, until it is *over* (on a thread)."""
        draw = chance(f"outages {seed}")
        is_short = seconds < SHORT_S
        pause_s = seconds / 2 if is_short else draw.uniform(20, 60)
        while not over.wait(pause_s):
            self._upstream.go()
            over.wait(draw.uniform(0.5, 2))
            self._upstream.come_back()
            pause_s = seconds if is_short else draw.uniform(20, 60)

    def _crowd(self, conduct: Conduct) -> Crowd:
        return Crowd(
            self._daemon.endpoint,
            self._upstream,
            self._ledger,
            conduct,
            clients=self._clients,
            each=self._each,
        )

    def _come_to_rest(self, alone: Mapping[str, int], *, most_threads: int | None) -> None:
        """Wait until nothing is left of what was asked; what stays is a breach.

        *alone* are the descriptors, by kind, when nobody had asked anything.
        """
        end = time.monotonic() + SETTLE_S
        while (problems := self._leftovers(alone, most_threads)) and time.monotonic() < end:
            time.sleep(LOOK_S)  # another process does not tell when it has closed something
        self._ledger.tell("when all had ended", problems)

    def _leftovers(self, alone: Mapping[str, int], most_threads: int | None) -> list[str]:
        status, held = self._monitor.status(), footprint(self._pid)
        # A connection on which the event loop asks is held by a descriptor of its own, too.
        kept = held.descriptors.get(UPSTREAM, 0) - held.doubled
        bounds = {
            "generations run": (status.queue.running, 0),
            "generations wait": (status.queue.waiting, 0),
            "requests are listed": (len(status.requests), 0),
            "exchanges go on at the upstream": (self._upstream.under_way(), 0),
            "connections to the upstream are kept": (kept, MAX_CONNECTIONS),
            "connections are open at the upstream": (connections_at(self._upstream.port), kept),
            "connections to the upstream are held twice": (held.doubled, min(kept, CONCURRENCY)),
            "threads are there": (held.threads, most_threads or held.threads),
        }
        for kind, count in held.descriptors.items():
            if kind != UPSTREAM:
                bounds[f"descriptors of the kind {kind} are open"] = (count, alone.get(kind, 0))
        return [
            f"{count} {what}, expected at most {most}"
            for what, (count, most) in bounds.items()
            if count > most
        ]

    def _end(self) -> list[str]:
        """Stop the daemon; return what is wrong with how it ends and with what it has logged."""
        self._daemon.signal(signal.SIGTERM)
        exit_status = self._daemon.wait()
        problems = [f"its exit status is {exit_status}"] if exit_status else []
        for line in self._daemon.log().splitlines():
            try:
                is_bad = json.loads(line)["level"] in {"error", "critical"}
            except (ValueError, KeyError, TypeError):
                is_bad = True  # not a line of the log
            if is_bad:
                problems.append(f"it has written {line[:2000]}")
        return problems
