"""One soak from the first start to the accounts: who does what, and what must be true then."""

import os
import random
import threading
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from devsynthctl import Client
from devsynthctl.liveness import ASK_AFTER_S
from devsynthd.upstream.lists import LIST_THREADS
from devsynthd.wire.objects import Totals
from tests.soak.book import Book
from tests.soak.callers import Asyncio, Blocking, EngineUser, Setter
from tests.soak.commanding import CommandLine
from tests.soak.crowd import Crowd
from tests.soak.desk import Desk
from tests.soak.editing import Editor, Reader
from tests.soak.files import cache_problems, left_files
from tests.soak.ledger import Ledger
from tests.soak.mishaps import Killing, Outage, Signals, Strangers
from tests.soak.plan import Conduct, Restless, WarmUp
from tests.soak.report import MIB, Report, memory_of
from tests.soak.routines import Routine, Routines
from tests.soak.script import chance
from tests.soak.subscriber import Subscriber
from tests.soak.supervisor import Supervisor
from tests.soak.upstream import SoakUpstream
from tests.soak.watch import (
    UPSTREAM,
    Footprint,
    Monitor,
    children_of,
    connections_at,
    footprint,
    resident_bytes,
)

CONCURRENCY = 64
MAX_CONNECTIONS = CONCURRENCY + LIST_THREADS
END_S = 90.0  # for what is in flight at the end: slow answers, some waiting for others
SETTLE_S = 20.0  # the idle engine ends meanwhile
LOOK_S = 0.05

WITH_KILLS = 0.55
"""The share of the time in which daemons are killed; in the rest one of them lives on."""

LONG_S = 200.0  # in less than that memory may not have come to its level
MAX_GROWTH_MIB, MAX_GROWTH_SHORT_MIB = 5, 10
BLOCKING = 3
LIBRARY_CLIENTS = 10
"""How many connections there are at a time of who asks a silent daemon whether it is there."""

# The pools for lists, for files and for connections grow when two of their jobs meet: the warm-up
# need not see that.
MORE_THREADS = (
    LIST_THREADS
    + min(32, (os.cpu_count() or 1) + 4)
    + CONCURRENCY
    - len(("lists", "files", "connections"))
)


class Run:
    """A soak with files in *folder*, by so many *clients* with so many requests *each*."""

    def __init__(
        self,
        folder: Path,
        supervisor: Supervisor,
        upstream: SoakUpstream,
        book: Book,
        ledger: Ledger,
        *,
        clients: int,
        each: int,
        seed: int,
    ) -> None:
        self._folder, self._supervisor, self._upstream = folder, supervisor, upstream
        self._book, self._ledger, self._seed = book, ledger, seed
        self._clients, self._each = clients, each
        self._doings: dict[str, int] = {}

    def report(self, seconds: float) -> Report:
        """Soak for *seconds*, wait until all is quiet, and return the accounts."""
        started = time.monotonic()
        total, supervisor = self._ledger, self._supervisor
        desk = Desk(total, self._upstream, supervisor.outages)
        self._soak(desk, seconds * WITH_KILLS, "kills", with_kills=True)
        total.tell("the clients' accounts", total.balance())
        self._count(desk)
        supervisor.restart()

        # From here on it is one daemon, whose own accounts and leftovers can be looked at.
        ledger = Ledger()
        desk = Desk(ledger, self._upstream, supervisor.outages)
        with closing(Monitor(supervisor.daemon.endpoint)) as monitor:
            totals, asked = monitor.status().totals, monitor.asked
            alone = footprint(supervisor.pid).descriptors
            self._warm_up(desk)
            self._come_to_rest(ledger, monitor, alone, most_threads=None)
            before = footprint(supervisor.pid)
            samples = self._soak(desk, seconds * (1 - WITH_KILLS), "life", with_kills=False)
            most_threads = before.threads + MORE_THREADS
            after = self._come_to_rest(ledger, monitor, alone, most_threads=most_threads)
            self._check_accounts(ledger, totals, monitor, asked, len(samples))
        self._count(desk)
        memory = memory_of(samples)
        most = (MAX_GROWTH_SHORT_MIB if seconds < LONG_S else MAX_GROWTH_MIB) * MIB
        if memory.growth > most:
            grown = f"it grew by {memory.growth / MIB:.1f} MiB, at most {most // MIB} are allowed"
            ledger.tell("the daemon's memory", [grown])
        total.add(ledger)
        self._check_the_end()
        return Report(
            seconds=time.monotonic() - started,
            seed=self._seed,
            sent=total.sent,
            answered=dict(sorted(total.answered.items())),
            vanished=total.vanished.total(),
            failed=dict(sorted(total.failed.items())),
            tokens=total.tokens,
            doings={
                **dict(sorted(self._doings.items())),
                **dict(sorted(supervisor.counts.items())),
                "restarts of the upstream": self._upstream.restarts,
                "hangs of the upstream": self._upstream.hangs,
            },
            cpu_s=supervisor.cpu_s,
            before=before,
            after=after,
            memory=memory,
            breach_count=total.breaches,
            breaches=tuple(total.told),
        )

    # What goes on ----------------------------------------------------------------------------

    def _warm_up(self, desk: Desk) -> None:
        crowd = self._crowd(desk, WarmUp())
        crowd.finish(END_S)
        crowd.close()

    def _soak(self, desk: Desk, seconds: float, name: str, *, with_kills: bool) -> list[int]:
        """Soak until all has ended; return the memory in bytes, second by second."""
        samples: list[int] = []
        over = threading.Event()
        crowd = self._crowd(desk, Restless(f"{self._seed} {name} crowd"))
        routines = Routines(self._routines(desk, seconds, name, with_kills), over, desk.tell)

        def every_second() -> None:
            routines.look()
            if not with_kills:
                self._supervisor.look()
                samples.append(resident_bytes(self._supervisor.pid))

        try:
            with routines:
                crowd.run(seconds, every_second)
                over.set()
                crowd.finish(END_S)
        finally:
            crowd.close()
        desk.tell("the upstream", [*desk.asked_too_often()])
        return samples

    def _routines(
        self,
        desk: Desk,
        seconds: float,
        name: str,
        with_kills: bool,  # noqa: FBT001
    ) -> list[Routine]:
        daemon, upstream, book = self._supervisor.daemon, self._upstream, self._book

        def draw(of: str) -> random.Random:
            return chance(f"{self._seed} {name} {of}")

        def conduct(of: str) -> Conduct:
            return Restless(f"{self._seed} {name} {of}", cancels=False)

        shared = Client(daemon.endpoint)
        pause_s = min(max(seconds / 4, 5), 30)
        routines: list[Routine] = [
            *(Blocking(shared, desk, conduct(f"b{n}"), draw(f"b{n}")) for n in range(BLOCKING)),
            Asyncio(daemon.endpoint, desk, conduct("a"), draw("a")),
            CommandLine(daemon.environ, book, desk, conduct("c"), draw("c")),
            Setter(book, daemon.endpoint, desk, draw("setter")),
            Editor(book, daemon.endpoint, desk, upstream, draw("editor")),
            Reader(book, self._caches, desk, cache_problems),
            Subscriber(daemon.endpoint, desk, draw("s1")),
            Subscriber(daemon.endpoint, desk, draw("s2")),
            EngineUser(daemon.endpoint, desk, upstream.is_away, draw("engine")),
            Strangers(daemon.socket, desk, draw("strangers")),
            Signals(self._supervisor, draw("signals")),
            Outage(upstream, draw("outages"), pause_s),
        ]
        if with_kills:
            routines.append(Killing(self._supervisor, book, draw("kills"), pause_s / 2))
        return routines

    def _crowd(self, desk: Desk, conduct: Conduct) -> Crowd:
        daemon = self._supervisor.daemon
        return Crowd(
            daemon.endpoint,
            daemon.environ,
            desk,
            conduct,
            clients=self._clients,
            each=self._each,
        )

    def _count(self, desk: Desk) -> None:
        for name, count in desk.doings.items():
            self._doings[name] = self._doings.get(name, 0) + count

    # What is looked at -----------------------------------------------------------------------

    @property
    def _caches(self) -> Path:
        return self._folder / "cache" / "devsynth"

    def _check_accounts(
        self, ledger: Ledger, totals: Totals, monitor: Monitor, asked: int, seconds: float
    ) -> None:
        now = monitor.status().totals
        ledger.tell("the clients' accounts", ledger.balance())
        problems = ledger.disagreements(
            totals,
            now,
            besides=monitor.asked - asked,
            most_pings=int((seconds + END_S) / ASK_AFTER_S) * LIBRARY_CLIENTS,
        )
        ledger.tell("the daemon's accounts", problems)

    def _come_to_rest(
        self,
        ledger: Ledger,
        monitor: Monitor,
        alone: Mapping[str, int],
        *,
        most_threads: int | None,
    ) -> Footprint:
        """Wait until nothing is left of what was asked; what stays is a breach.

        *alone* are the descriptors, by kind, when nobody had asked anything.
        """
        end = time.monotonic() + SETTLE_S
        while True:
            held = footprint(self._supervisor.pid)
            problems = self._leftovers(held, monitor, alone, most_threads)
            if not problems or time.monotonic() > end:
                ledger.tell("when all had ended", problems)
                return held
            time.sleep(LOOK_S)  # another process does not tell when it has closed something

    def _leftovers(
        self,
        held: Footprint,
        monitor: Monitor,
        alone: Mapping[str, int],
        most_threads: int | None,
    ) -> list[str]:
        status = monitor.status()
        # A connection is held by a descriptor of its own, too, by which it can be hung up on.
        kept = held.descriptors.get(UPSTREAM, 0) - held.doubled
        children = children_of(self._supervisor.pid)
        bounds = {
            "generations run": (status.queue.running, 0),
            "generations wait": (status.queue.waiting, 0),
            "requests are listed": (len(status.requests), 0),
            "exchanges go on at the upstream": (self._upstream.under_way(), 0),
            "connections to the upstream are kept": (kept, MAX_CONNECTIONS),
            "connections are open at the upstream": (connections_at(self._upstream.port), kept),
            "connections to the upstream are held twice": (held.doubled, kept),
            "threads are there": (held.threads, most_threads or held.threads),
            f"processes are its children ({children})": (len(children), 0),
        }
        for kind, count in held.descriptors.items():
            if kind != UPSTREAM:
                bounds[f"descriptors of the kind {kind} are open"] = (count, alone.get(kind, 0))
        return [
            f"{count} {what}, expected at most {most}"
            for what, (count, most) in bounds.items()
            if count > most
        ]

    def _check_the_end(self) -> None:
        """Have the doctor look at the daemon, end it, and look at what it leaves behind."""
        ledger, supervisor = self._ledger, self._supervisor
        doctor = supervisor.daemon.ctl("doctor", limit_s=60)
        if doctor.returncode != 0:
            ledger.tell("the doctor", [doctor.stdout + doctor.stderr], at_least=1)
        supervisor.stop()  # its log has the reasons for what came before
        ledger.tell("the engines", [*supervisor.orphans()])
        ledger.tell(self._book.path, self._book.problems())
        ledger.tell("the files", left_files(self._folder), at_least=3)
